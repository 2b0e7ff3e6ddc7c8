"""BEHAVIOR-1K demonstrations (R1 Pro, layout of 2025) to LeRobotDataset v3, without the simulator.

`lerobot-plugins convert behavior1k SRC --repo-id local/x --root OUT --tasks turning_on_radio --size 224`
"""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


class Behavior1kBridge:
    """The bridge as `lerobot-plugins convert` knows it."""

    help = "BEHAVIOR-1K demonstrations (2025 layout, v2.1) to a LeRobotDataset v3"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the bridge's own arguments and those of every conversion."""
        from lerobot_plugins.conversion.arguments import add_conversion_arguments

        parser.add_argument(
            "source", type=Path, help="the folder with data/, videos/, annotations/ and meta/"
        )
        parser.add_argument(
            "--tasks", metavar="LIST", help="tasks by number or name: 0,make_pizza (default: all)"
        )
        parser.add_argument(
            "--episodes", metavar="LIST", help="episode_index values and ranges: 10,20,100-990 (default: all)"
        )
        parser.add_argument(
            "--prompts",
            choices=("task", "skill", "primitive"),
            default="task",
            help="a frame's text: its task's sentence, or a phrase for its annotated skill or primitive "
            "(default: task)",
        )
        parser.add_argument(
            "--subtasks",
            choices=("none", "skill", "primitive"),
            default="none",
            help="give each frame a subtask beside its text: the phrase of its annotated skill or primitive, "
            "for policies that learn to write it (default: none)",
        )
        parser.add_argument(
            "--object-names",
            type=Path,
            metavar="FILE.json",
            help='names of objects for phrases: {"radio_89": "radio", ...} (default: made from their ids)',
        )
        parser.add_argument(
            "--depth",
            default="none",
            metavar="CAMERAS",
            help="depth cameras to convert: none, all, or a list of head,left_wrist,right_wrist",
        )
        parser.add_argument(
            "--segmentation",
            default="none",
            metavar="CAMERAS",
            help="cameras whose instance ids to convert: none, all, or a list of head,left_wrist,right_wrist",
        )
        parser.add_argument(
            "--size",
            type=int,
            metavar="N",
            help="shrink pictures whose longer side is above N (default: keep)",
        )
        parser.add_argument(
            "--no-proprioception",
            dest="proprioception",
            action="store_false",
            help="leave out observation.proprioception, the recorded numbers behind the state",
        )
        add_conversion_arguments(parser, has_pictures=False)

    def run(self, arguments: argparse.Namespace) -> int:
        """Convert; returns the exit status."""
        from lerobot_dataset_behavior1k.options import Options
        from lerobot_dataset_behavior1k.source import Behavior1kSource
        from lerobot_plugins.conversion.arguments import run_conversion

        options = Options.of(arguments)
        source = Behavior1kSource.open(
            arguments.source, options, tolerate_damage=arguments.on_error != "stop"
        )
        for survey in source.surveys:
            logger.info("%s", survey)
        return run_conversion(source, arguments)


BRIDGE = Behavior1kBridge()
