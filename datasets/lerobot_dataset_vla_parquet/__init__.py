"""Rows of VLA recordings in Parquet files (pictures, state, action, prompt, flags) to LeRobotDataset v3.

`lerobot-plugins convert vla-parquet FILES... --repo-id local/x --root OUT --fps 10`
"""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


class VlaParquetBridge:
    """The bridge as `lerobot-plugins convert` knows it."""

    help = "Parquet rows of pictures, state, action, prompt and flags to a LeRobotDataset v3"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the bridge's own arguments and those of every conversion."""
        from lerobot_dataset_vla_parquet.options import MISSING_AUX
        from lerobot_plugins.conversion.arguments import add_conversion_arguments

        add = parser.add_argument
        add("input", nargs="+", help="Parquet files, folders, and patterns such as 'day1/*.parquet'")
        add("--fps", type=int, required=True, help="frames per second, which the rows do not say")
        add("--robot-type", default="unknown", help="LeRobot's name for the robot (default: unknown)")
        add(
            "--image1-column", metavar="COLUMN", help="the main camera (default: image_1, image_1_bytes, ...)"
        )
        add(
            "--image2-column",
            metavar="COLUMN",
            help="the second camera (default: image_2, image_2_bytes, ...)",
        )
        add("--state-column", metavar="COLUMN", help="(default: state or proprio)")
        add("--action-column", metavar="COLUMN", help="(default: action or actions)")
        add("--prompt-column", metavar="COLUMN", help="(default: prompt, instruction, ...)")
        add(
            "--camera", action="append", default=[], metavar="NAME=COLUMN", help="one more camera; repeatable"
        )
        add("--state-names", metavar="LIST", help="names of the state's numbers, joined by commas")
        add("--action-names", metavar="LIST", help="names of the action's numbers, joined by commas")
        add(
            "--mode",
            choices=("strict", "lenient"),
            default="strict",
            help="stop at whatever is wrong, or repair what leaves an episode usable, leave the rest out and "
            "report both (default: strict)",
        )
        add("--split-at-file-boundary", action="store_true", help="every file begins and ends an episode")
        add("--allow-prompt-change", action="store_true", help="an episode's prompt may change")
        add("--default-prompt", metavar="TEXT", help="the instruction of rows without one")
        add(
            "--missing-aux",
            choices=MISSING_AUX,
            default="error",
            help="where another camera than the first has no picture (default: error)",
        )
        add("--resize", metavar="HxW", help="resize all pictures, which are then kept as PNG")
        add(
            "--per-action-dim",
            type=int,
            metavar="N",
            help="rows hold chunks of steps of N numbers: take the first",
        )
        add(
            "--min-length",
            type=int,
            default=2,
            metavar="N",
            help="shorter episodes are an error (default: 2)",
        )
        add("--skip-bad-files", action="store_true", help="leave out files that cannot be read")
        add("--match", type=Path, metavar="DIR", help="refuse unless the features are those of this dataset")
        add("--dump", type=Path, metavar="DIR", help="write the first step as plain files, and nothing else")
        add_conversion_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Convert; returns the exit status: 1 if anything was left out or repaired."""
        from lerobot_dataset_vla_parquet.dump import dump_step
        from lerobot_dataset_vla_parquet.inputs import find_files
        from lerobot_dataset_vla_parquet.options import Options
        from lerobot_dataset_vla_parquet.source import VlaParquetSource
        from lerobot_plugins.conversion.arguments import run_conversion
        from lerobot_plugins.conversion.matching import require_match

        if arguments.on_error == "stop" and (arguments.dry_run or arguments.mode == "lenient"):
            arguments.on_error = "skip"
        source = VlaParquetSource.open(
            find_files(arguments.input), Options.of(arguments), tolerate_damage=arguments.on_error != "stop"
        )
        if arguments.dump is not None:
            print(f"{arguments.dump}: the first step of {dump_step(source, arguments.dump)}")
            return 0
        if arguments.match is not None:
            require_match(source, arguments.match)
        findings = list(source.findings())
        for finding in findings:
            logger.warning("%s", finding)
        return max(run_conversion(source, arguments), int(bool(findings)))


BRIDGE = VlaParquetBridge()
