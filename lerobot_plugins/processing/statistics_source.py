"""Whose statistics a run normalises with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.utils.constants import ACTION, OBS_STATE

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime
from lerobot_plugins.statistics.formats import read_statistics_file
from lerobot_plugins.statistics.openpi import fit_width

Stats = dict[str, dict[str, np.ndarray]]


def modes_of(config: Any, keys: Any) -> dict[str, str]:
    """The mode of each feature key, as the policy's configuration says."""
    return {key: config.action_normalization if key == ACTION else config.state_normalization for key in keys}


def chosen_statistics(config: Any, dataset_stats: Stats | None) -> Stats:
    """The statistics a fresh run normalises with.

    Raises:
        ZooError: The chosen source has none.
    """
    if config.stats_source == "file":
        path = Path(config.stats_path)
        widths = {ACTION: config.action_width, OBS_STATE: config.state_width}
        widths = {key: width for key, width in widths.items() if width}
        return read_statistics(path, widths, config.placed_statistics)
    if config.stats_source == "checkpoint":
        raise ZooError(
            "stats_source=checkpoint needs a checkpoint to inherit statistics from",
            got="a policy that is trained from scratch",
            expected="--policy.path=CHECKPOINT",
            do="pass --policy.path, or --policy.stats_source=dataset",
        )
    if not dataset_stats:
        raise ZooError(
            "the training dataset has no statistics, and training without normalisation is refused",
            expected="meta/stats.json in the dataset",
            do="write them: lerobot-plugins stats --root=... --in-place",
        )
    return dataset_stats


def origin_of(run: runtime.TrainingRun) -> str:
    """Where a fresh run's statistics come from, for the reader of the checkpoint."""
    return run.config.stats_path if run.config.stats_source == "file" else run.meta.repo_id


def read_statistics(
    path: Path, widths: dict[str, int], placed: Callable[[Stats], Stats] = lambda stats: stats
) -> Stats:
    """Read statistics from any of the files in `statistics.formats`.

    Args:
        path: The file.
        widths: Dims of the features that must fit; openpi's padding beyond them is cut off.
        placed: Brings statistics of a part of a feature's dims to their places, before widths are compared.

    Raises:
        ZooError: The file is missing or is neither, or a feature has another width.
    """
    stats = placed(read_statistics_file(path))
    for key in sorted(widths.keys() & stats.keys()):
        vectors = {name: value.ravel() for name, value in stats[key].items() if name != "count"}
        stats[key] = stats[key] | fit_width(vectors, key, widths[key], path)
    return stats
