"""`normalization_stats.json` of the open PaliGemma VLA that `paligemma_flow` follows.

    {"state": {"min": [...], "max": [...], "mean": [...], "std": [...]}, "action": {...}}

Its own files have these four; quantiles and the number of frames are written beside them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lerobot_plugins.contracts.layout import ACTION, STATE
from lerobot_plugins.statistics.described import Stats

FILE = "normalization_stats.json"
KEYS = {STATE: "state", ACTION: "action"}


def is_reference(content: Mapping[str, Any]) -> bool:
    """Whether a file's content has this layout."""
    return set(content) <= set(KEYS.values()) and "min" in content.get("action", ())


def read_reference(content: Mapping[str, Any]) -> Stats:
    """Statistics under LeRobot's keys, float64, as wide as the file has them.

    Raises:
        ValueError: A field is not a list of numbers.
    """
    return {
        key: {field: np.atleast_1d(np.asarray(value, float)) for field, value in content[name].items()}
        for key, name in KEYS.items()
        if name in content
    }


def reference_content(stats: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """State and action as the file has them; `count` becomes one number."""
    return {
        name: {
            field: int(value.item()) if field == "count" else value.ravel().tolist()
            for field, value in stats[key].items()
        }
        for key, name in KEYS.items()
        if key in stats
    }
