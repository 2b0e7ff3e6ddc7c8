"""RLDS data sets (TFDS folders of TFRecord shards) to LeRobotDataset v3, without TensorFlow.

`lerobot-plugins convert rlds SRC --repo-id local/x --root OUT --preset libero`
"""

import argparse
from pathlib import Path

from lerobot_plugins.errors import ZooError

PRESETS = Path(__file__).parent / "presets"


class RldsBridge:
    """The bridge as `lerobot-plugins convert` knows it."""

    help = "RLDS (TFDS folders of TFRecord shards) to a LeRobotDataset v3"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the bridge's own arguments and those of every conversion."""
        from lerobot_plugins.conversion.arguments import add_conversion_arguments

        parser.add_argument("source", type=Path, help="the version folder, or a folder above it")
        mapping = parser.add_mutually_exclusive_group(required=True)
        presets = sorted(path.stem for path in PRESETS.glob("*.yaml"))
        mapping.add_argument("--preset", choices=presets, help="a mapping that comes with the bridge")
        mapping.add_argument("--mapping", type=Path, metavar="FILE.yaml", help="a mapping of your own")
        parser.add_argument(
            "--split", default="train", help="a split, or several joined by + (default: train)"
        )
        add_conversion_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Convert; returns the exit status."""
        from lerobot_dataset_rlds.mapping import load_mapping
        from lerobot_dataset_rlds.source import RldsSource
        from lerobot_plugins.conversion.arguments import run_conversion

        mapping = load_mapping(arguments.mapping or PRESETS / f"{arguments.preset}.yaml")
        turned = [key for key, camera in mapping.images.items() if camera.turned]
        if turned and arguments.images == "jpeg":
            raise ZooError(
                "--images jpeg keeps the bytes of pictures, and the mapping rotates some",
                got=f"rotate: 180 for {', '.join(turned)}",
                expected="no rotation",
                do="convert with --images video",
            )
        source = RldsSource.open(
            arguments.source, mapping, arguments.split, tolerate_damage=arguments.on_error != "stop"
        )
        return run_conversion(source, arguments)


BRIDGE = RldsBridge()
