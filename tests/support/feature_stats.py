"""LeRobot's statistics of made-up features."""

from typing import Any

import numpy as np


def stats_of(values_ND: Any) -> dict[str, np.ndarray]:
    """LeRobot's statistics of a feature, from its values."""
    values = np.asarray(values_ND, dtype=np.float64)
    quantiles = {f"q{int(q * 100):02d}": np.quantile(values, q, axis=0) for q in (0.01, 0.1, 0.5, 0.9, 0.99)}
    return quantiles | {
        "min": values.min(0),
        "max": values.max(0),
        "mean": values.mean(0),
        "std": values.std(0),
        "count": np.array([len(values)]),
    }
