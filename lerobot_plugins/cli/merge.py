"""`lerobot-plugins merge A B C --output D`: one dataset out of several of the same form."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", nargs="+", type=Path, help="folders of LeRobotDatasets v3, in order")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")


def run(arguments: argparse.Namespace) -> int:
    """Merge; raises `ZooError` where the datasets differ."""
    from lerobot_plugins.conversion.merging import merge_datasets

    made = merge_datasets(arguments.dataset, arguments.output)
    print(f"{made.root}: {made.episodes} episodes, {made.frames} frames")
    return 0
