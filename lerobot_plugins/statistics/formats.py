"""The files in which statistics are kept, read and written.

lerobot    stats.json                 every feature of a LeRobotDataset
openpi     norm_stats.json            mean, std, q01, q99 of state and actions
flat       dataset_statistics.json    OpenVLA, the published waypoint VLA
nested     dataset_statistics.json    the same below the dataset's name, as Open X-Embodiment users have it
reference  normalization_stats.json   min, max, mean, std of state and action
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_plugins.contracts.layout import ACTION
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation.files import write_atomically
from lerobot_plugins.statistics import dataset_statistics, openpi, reference
from lerobot_plugins.statistics.described import Described, Stats

LEROBOT, OPENPI, FLAT, NESTED, REFERENCE = "lerobot", "openpi", "flat", "nested", "reference"
FORMATS = (LEROBOT, OPENPI, FLAT, NESTED, REFERENCE)
#: What a file's name says; `dataset_statistics.json` leaves open which of two.
_NAMES = {
    "stats.json": LEROBOT,
    openpi.FILE: OPENPI,
    "dataset_statistics.json": FLAT,
    reference.FILE: REFERENCE,
}


def read_statistics_file(path: Path) -> Stats:
    """Statistics under LeRobot's keys, float64, whichever of the formats the file has.

    Raises:
        ZooError: The file is missing, of none of the formats, or holds several datasets.
    """
    try:
        content = json.loads(path.read_text())
        if "norm_stats" in content:
            return openpi.read_norm_stats(path)
        if (entry := dataset_statistics.entry_of(content, path)) is not None:
            return dataset_statistics.read_entry(entry)
        if reference.is_reference(content):
            return reference.read_reference(content)
        return {key: {name: np.asarray(v, float) for name, v in e.items()} for key, e in content.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ZooError(
            f"cannot read statistics from {path}",
            got=f"{type(error).__name__}: {error}",
            expected="a LeRobot stats.json (feature -> statistic -> numbers), an openpi norm_stats.json, a "
            f"dataset_statistics.json or a {reference.FILE}",
            do="give a dataset's meta/stats.json or a checkpoint's norm_stats.json; in training it is "
            "--policy.stats_path",
        ) from error


def format_of(path: Path) -> str:
    """The format that a file to be written should have, by its name.

    Raises:
        ZooError: The name does not tell.
    """
    if path.name not in _NAMES:
        raise ZooError(
            f"the name of {path} does not say in which format to write",
            got=path.name,
            expected=f"one of {', '.join(_NAMES)}",
            do=f"pass --format with one of {', '.join(FORMATS)}",
        )
    return _NAMES[path.name]


def write_statistics_file(described: Described, path: Path, format_name: str, dataset: str) -> None:
    """Write statistics, whole or not at all.

    Args:
        described: The statistics.
        path: The file.
        format_name: One of `FORMATS`.
        dataset: The dataset's name, for the nested format.

    Raises:
        ZooError: The format needs what the statistics lack.
    """
    if format_name == OPENPI:
        openpi.write_norm_stats(described.stats, path)
        return
    if format_name != LEROBOT and ACTION not in described.stats:
        raise ZooError(
            f"the format {format_name} holds statistics of actions",
            got=", ".join(described.stats) or "nothing",
            expected=ACTION,
            do="choose --format=lerobot, or leave --features out",
        )
    write_json(_content(described, format_name, dataset), path)


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON as LeRobot does, whole or not at all.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(content, indent=4, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text)


def lerobot_content(stats: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Statistics as `meta/stats.json` has them."""
    return {key: {name: value.tolist() for name, value in entry.items()} for key, entry in stats.items()}


def _content(described: Described, format_name: str, dataset: str) -> dict[str, Any]:
    stats = described.stats
    if format_name == LEROBOT:
        return lerobot_content(stats)
    if format_name == REFERENCE:
        return reference.reference_content(stats)
    frames = described.frames
    if frames is None and "count" in stats[ACTION]:
        frames = int(stats[ACTION]["count"].item())
    if frames is None:
        raise ZooError(
            "these files say of how many frames their statistics are",
            got=f"statistics of {described.origin}, which do not tell",
            do="compute them from the data: --root, --repo-id or a bridge",
        )
    entry = dataset_statistics.entry_content(stats, frames, described.episodes)
    return entry if format_name == FLAT else {dataset: entry | {"num_samples": frames}}
