"""A stable name for a set of statistics, which checkpoints store beside their copy."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def statistics_hash(statistics: Mapping[str, Any]) -> str:
    """SHA-256 over the sorted keys and the float64 values of `{feature: {statistic: values}}`.

    Shapes do not count, since JSON, NumPy and torch write a scalar, `[x]` and `[[[x]]]` for the same number.
    """
    digest = hashlib.sha256()
    for path, value in _leaves(statistics, ""):
        # Adding zero makes -0.0 and 0.0, which compare equal, hash equally.
        values = np.asarray(value, dtype="<f8").reshape(-1) + 0.0
        digest.update(f"{path}[{len(values)}]".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key in sorted(tree):
        if isinstance(tree[key], Mapping):
            yield from _leaves(tree[key], f"{prefix}{key}\n")
        else:
            yield f"{prefix}{key}\n", tree[key]
