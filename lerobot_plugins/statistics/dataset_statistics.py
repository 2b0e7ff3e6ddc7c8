"""`dataset_statistics.json` of OpenVLA and of the published waypoint VLA: statistics of action and state.

    flat     {"action": {"mean": [...], "q01": [...], ...}, "proprio": {...}, "num_transitions": N, ...}
    nested   {"<dataset>": {"action": {...}, "proprio": {...}, ...}}, possibly beside "__total__"

Some writers have proprioception without its grippers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_plugins.contracts.layout import ACTION, STATE
from lerobot_plugins.errors import ZooError

Stats = dict[str, dict[str, np.ndarray]]

KEYS = {STATE: "proprio", ACTION: "action"}
FIELDS = ("mean", "std", "min", "max", "q01", "q99")
TOTAL = "__total__"


def entry_of(content: Mapping[str, Any], path: Path) -> Mapping[str, Any] | None:
    """The entry of the one dataset in a file's content; None where the file has another layout.

    Raises:
        ZooError: The file holds several datasets, and nothing says which is meant.
    """
    if "action" in content and ("proprio" in content or "num_transitions" in content):
        return content
    nested = {
        name: entry
        for name, entry in content.items()
        if name != TOTAL and isinstance(entry, Mapping) and isinstance(entry.get("action"), Mapping)
    }
    if len(nested) > 1:
        raise ZooError(
            f"{path} holds the statistics of several datasets",
            got=", ".join(sorted(nested)),
            expected="one",
            do="keep the entry of your dataset in a file of its own",
        )
    return next(iter(nested.values()), None)


def read_entry(entry: Mapping[str, Any]) -> Stats:
    """Statistics under LeRobot's keys, float64, as wide as the file has them.

    Raises:
        ValueError: A field is not a list of numbers.
    """
    return {
        key: {field: np.asarray(entry[name][field], float) for field in FIELDS if field in entry[name]}
        for key, name in KEYS.items()
        if name in entry
    }


def entry_content(
    stats: Mapping[str, Mapping[str, np.ndarray]], frames: int, episodes: int | None
) -> dict[str, Any]:
    """The entry of one dataset as these files have it.

    Args:
        stats: Feature -> statistic -> values.
        frames: Number of frames, which the files call transitions.
        episodes: Number of episodes, which they call trajectories; None where nobody knows.
    """
    entry: dict[str, Any] = {
        name: {field: stats[key][field].ravel().tolist() for field in FIELDS if field in stats[key]}
        for key, name in KEYS.items()
        if key in stats
    }
    counts = {"num_transitions": frames} | ({} if episodes is None else {"num_trajectories": episodes})
    return entry | counts
