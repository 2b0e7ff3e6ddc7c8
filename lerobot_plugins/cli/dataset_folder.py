"""Which dataset a command is about: `--root`, or `--repo-id` in LeRobot's own folder."""

import argparse
from pathlib import Path

from lerobot_plugins.errors import ZooError


def dataset_folder(arguments: argparse.Namespace) -> Path:
    """The dataset's folder.

    Raises:
        ZooError: Neither option is given, or the name is no name.
    """
    if arguments.root:
        return arguments.root
    name = arguments.repo_id
    if not name or ".." in name or Path(name).is_absolute():
        raise ZooError(
            "--repo-id names no dataset" if name else "nothing names a dataset",
            got=name,
            do="pass --root=DIR or --repo-id=USER/NAME",
        )
    from lerobot.utils.constants import HF_LEROBOT_HOME

    return Path(HF_LEROBOT_HOME) / name
