"""Exact statistics of numeric columns, under LeRobot's names.

LeRobot 0.6.1 averages the quantiles of episodes, which is wrong as soon as episodes differ; here quantiles
are taken over all values at once.

T frames; D the shape of one frame's value.
"""

from collections.abc import Iterable, Mapping

import numpy as np

#: LeRobot's own.
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

Statistics = dict[str, np.ndarray]


def quantile_names(percents: Iterable[int]) -> dict[str, float]:
    """LeRobot's names of quantiles, ascending: 1 is `q01`.

    >>> quantile_names([99, 1])
    {'q01': 0.01, 'q99': 0.99}
    """
    return {f"q{percent:02d}": percent / 100 for percent in sorted(set(percents))}


def exact_statistics(values_TD: np.ndarray, quantiles: Mapping[str, float] = QUANTILES) -> Statistics:
    """Minimum, maximum, mean, standard deviation, count and quantiles of each dimension over all frames.

    Everything is computed in float64. Quantiles equal `np.quantile` (linear). Mean and standard deviation
    are the corrected two-pass ones: their relative error stays near 1e-15 even where the mean is a million
    times the deviation.

    Args:
        values_TD: Numbers or booleans, at least one frame; a column of scalars may be (T,). Memory in which
            each dimension lies in one piece is read fastest.
        quantiles: Name -> share of the frames.

    Returns:
        LeRobot's entries `min, max, mean, std` and the quantiles, each of the shape of one frame's value
        ((1,) for scalars), and `count` of shape (1,).
    """
    frames = values_TD.shape[0]
    shape = values_TD.shape[1:] or (1,)
    columns = values_TD.reshape(frames, -1)
    shares = list(quantiles.values())
    per_dimension = [
        _describe(np.asarray(columns[:, i], dtype=np.float64), shares) for i in range(columns.shape[1])
    ]
    names = ("min", "max", "mean", "std", *quantiles)
    statistics = {name: np.array([row[i] for row in per_dimension]) for i, name in enumerate(names)}
    return {name: value.reshape(shape) for name, value in statistics.items()} | {"count": np.array([frames])}


def _describe(values: np.ndarray, shares: list[float]) -> list[float]:
    mean = values.mean()
    mean += (values - mean).mean()
    deviations = values - mean
    variance = np.square(deviations).mean() - deviations.mean() ** 2
    quantiles = np.quantile(values, shares)
    return [values.min(), values.max(), mean, np.sqrt(max(variance, 0.0)), *quantiles]
