"""openpi's `norm_stats.json`: statistics of the state and of the actions.

    {"norm_stats": {"state": {"mean": [...], "std": [...], "q01": [...], "q99": [...]}, "actions": {...}}}

Some writers pad the vectors with zeros to the width of the network (32).
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lerobot_plugins.contracts.layout import ACTION, STATE
from lerobot_plugins.errors import ZooError

Stats = dict[str, dict[str, np.ndarray]]

FILE = "norm_stats.json"
KEYS = {STATE: "state", ACTION: "actions"}
FIELDS = ("mean", "std", "q01", "q99")
REQUIRED = ("mean", "std")


def read_norm_stats(path: Path) -> Stats:
    """Statistics under LeRobot's keys, float64, as wide as the file has them; quantiles where it has them.

    Raises:
        ZooError: The file is absent, is no such JSON, lacks the actions or a field, or a field is not a
            vector of finite numbers as wide as the others.
    """
    try:
        content = json.loads(path.read_text())["norm_stats"]
        entries = {key: dict(content[name]) for key, name in KEYS.items() if name in content}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _not_norm_stats(path, f"{type(error).__name__}: {error}") from error
    if ACTION not in entries:
        raise _not_norm_stats(path, f"entries {', '.join(sorted(content)) or 'none'}")
    return {key: _read_entry(entry, KEYS[key], path) for key, entry in entries.items()}


def _not_norm_stats(path: Path, found: str) -> ZooError:
    return ZooError(
        f"cannot read openpi's statistics from {path}",
        got=found,
        expected='{"norm_stats": {"state": {...}, "actions": {...}}}',
        do="give the norm_stats.json of the checkpoint's assets, or one that openpi's "
        "compute_norm_stats wrote",
    )


def _read_entry(entry: Mapping[str, object], name: str, path: Path) -> dict[str, np.ndarray]:
    stats: dict[str, np.ndarray] = {}
    for field in FIELDS:
        value = entry.get(field)
        if value is None and field not in REQUIRED:
            continue
        try:
            stats[field] = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            stats[field] = np.array(np.nan)
        if stats[field].ndim != 1 or not np.isfinite(stats[field]).all():
            raise ZooError(
                f"{name}.{field} in {path} is not a vector of finite numbers",
                got="nothing" if value is None else str(value)[:80],
                expected="a list with one number per dimension",
                do="compute the statistics again with openpi's compute_norm_stats",
            )
    widths = {field: len(value) for field, value in stats.items()}
    if len(set(widths.values())) > 1:
        raise ZooError(
            f"the statistics of {name} in {path} have several widths", got=widths, expected="one width"
        )
    return stats


def fit_width(stats: Mapping[str, np.ndarray], key: str, width: int, path: Path) -> dict[str, np.ndarray]:
    """The statistics of one feature, cut to its width where the rest is padding.

    Args:
        stats: One feature's entry of `read_norm_stats`.
        key: The feature, for messages.
        width: Its number of dimensions.
        path: The file, for messages.

    Raises:
        ZooError: Fewer dimensions than the feature has, more that are not zero, or padding that starts before
            the feature's last dimension: statistics of another robot.
    """
    found = len(next(iter(stats.values())))
    used = max((int(np.flatnonzero(value)[-1]) + 1 for value in stats.values() if value.any()), default=0)
    # Padding starts where everything is zero; it must not start inside the feature.
    if found < width or used > width or (found > width and used < width):
        padded = f", zero in all statistics beyond {used}" if used < found else ""
        raise ZooError(
            f"the statistics of {key} in {path} have another width than the feature",
            got=f"{found} dimensions{padded}",
            expected=f"{width} dimensions, or more that are all zero (openpi pads to 32)",
            do="use the statistics of this robot, or name the robot or dataset of this checkpoint; where the "
            f"last of the {width} dimensions really never move, shorten the file's lists to {width}",
        )
    return {name: value[:width] for name, value in stats.items()}


def write_norm_stats(stats: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> None:
    """Write statistics as openpi reads them: `FIELDS` of the action and, where the policy sees it, the state.

    Raises:
        ZooError: The action, or a feature's mean or std is missing.
    """
    content = {}
    for key, name in KEYS.items():
        if key not in stats and key != ACTION:
            continue  # a policy that sees no state
        entry = stats.get(key, {})
        absent = [field for field in REQUIRED if field not in entry]
        if absent:
            raise ZooError(
                f"openpi's statistics need {', '.join(absent)} of {key}",
                got=", ".join(sorted(entry)) or "nothing",
                expected=", ".join(REQUIRED),
            )
        content[name] = {
            field: np.asarray(entry[field], dtype=np.float64).ravel().tolist()
            for field in FIELDS
            if field in entry
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"norm_stats": content}, indent=2))
    os.replace(partial, path)
