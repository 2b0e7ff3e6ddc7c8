"""Whose statistics a run normalises with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.utils.constants import ACTION

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime

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
        return read_statistics(Path(config.stats_path))
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
            do="convert the dataset again with `lerobot-plugins convert`",
        )
    return dataset_stats


def origin_of(run: runtime.TrainingRun) -> str:
    """Where a fresh run's statistics come from, for the reader of the checkpoint."""
    return run.config.stats_path if run.config.stats_source == "file" else run.meta.repo_id


def read_statistics(path: Path) -> Stats:
    """Read a LeRobot `stats.json`.

    Raises:
        ZooError: The file is missing or is no such file.
    """
    try:
        raw = json.loads(path.read_text())
        return {key: {name: np.asarray(v, float) for name, v in stats.items()} for key, stats in raw.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ZooError(
            f"cannot read statistics from {path}",
            got=f"{type(error).__name__}: {error}",
            expected="a LeRobot stats.json: feature -> statistic -> numbers",
            do="set --policy.stats_path to the meta/stats.json of a dataset",
        ) from error
