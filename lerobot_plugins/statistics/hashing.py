"""A name for a set of statistics, so that a checkpoint and a dataset can be compared."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def statistics_hash(stats: Mapping[str, Mapping[str, Any]]) -> str:
    """sha256 over feature names, statistic names and values as float64, independent of dict order and dtype."""
    digest = hashlib.sha256()
    for key in sorted(stats):
        for name in sorted(stats[key]):
            value = np.ascontiguousarray(np.asarray(stats[key][name], dtype="<f8"))
            digest.update(f"{key}\0{name}\0{value.shape}\0".encode())
            digest.update(value.tobytes())
    return digest.hexdigest()
