"""Exact statistics of images from histograms: one count per channel and intensity.

Histograms of episodes add up, so the statistics of a dataset are as exact as those of one episode.

C channels, V the intensities (256 of colours, or the codes of another law).
"""

import numpy as np
from PIL import Image

from lerobot_plugins.statistics.exact import QUANTILES, Statistics

# Every eighth frame: neighbours in time look alike, and decoding all would cost more than the conversion.
SAMPLE_STRIDE = 8
INTENSITIES_V = np.arange(256, dtype=np.float64)


def sampled(frames: int) -> range:
    """The frames of an episode whose pixels enter the statistics."""
    return range(0, frames, SAMPLE_STRIDE)


def histogram(image_HWC: np.ndarray) -> np.ndarray:
    """Counts (C, V) of the intensities of one uint8 image."""
    return np.array(Image.fromarray(image_HWC).histogram(), dtype=np.int64).reshape(-1, 256)


def image_statistics(
    histogram_CV: np.ndarray, images: int, values_V: np.ndarray = INTENSITIES_V, unit: float = 255
) -> Statistics:
    """Statistics of all counted pixels; of 8-bit colours in units of [0, 1].

    Args:
        histogram_CV: Summed counts.
        images: How many images were counted.
        values_V: What each intensity stands for, ascending.
        unit: What the values are divided by.

    Returns:
        LeRobot's entries, each (C, 1, 1), and `count` (1,), which LeRobot takes in images.
    """
    rows = np.array([_describe(counts_V, values_V) for counts_V in histogram_CV]) / unit
    names = ("min", "max", "mean", "std", *QUANTILES)
    statistics = {name: rows[:, i].reshape(-1, 1, 1) for i, name in enumerate(names)}
    return statistics | {"count": np.array([images])}


def _describe(counts_V: np.ndarray, values_V: np.ndarray) -> list[float]:
    present_V = values_V[counts_V > 0]
    total = counts_V.sum()
    mean = counts_V @ values_V / total
    variance = counts_V @ np.square(values_V - mean) / total
    quantiles = [_quantile(counts_V, values_V, quantile) for quantile in QUANTILES.values()]
    return [present_V[0], present_V[-1], mean, np.sqrt(variance), *quantiles]


def _quantile(counts_V: np.ndarray, values_V: np.ndarray, quantile: float) -> float:
    """`np.quantile` (linear) of the counted pixels; only the two neighbouring order statistics matter."""
    position = quantile * (counts_V.sum() - 1)
    rank = int(position)
    cumulative = np.cumsum(counts_V)
    places = np.searchsorted(cumulative, [rank, min(rank + 1, cumulative[-1] - 1)], side="right")
    lower, upper = values_V[places]
    return float(lower + (upper - lower) * (position - rank))
