"""Exact statistics of 8-bit images from histograms: one count per channel and intensity.

Histograms of episodes add up, so the statistics of a dataset are as exact as those of one episode.

C channels, V the 256 intensities.
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


def image_statistics(histogram_CV: np.ndarray, images: int) -> Statistics:
    """Statistics of all counted pixels, in units of [0, 1].

    Args:
        histogram_CV: Summed counts.
        images: How many images were counted.

    Returns:
        LeRobot's entries, each (C, 1, 1), and `count` (1,), which LeRobot takes in images.
    """
    rows = np.array([_describe(counts_V) for counts_V in histogram_CV])
    names = ("min", "max", "mean", "std", *QUANTILES)
    statistics = {name: rows[:, i].reshape(-1, 1, 1) for i, name in enumerate(names)}
    return statistics | {"count": np.array([images])}


def _describe(counts_V: np.ndarray) -> list[float]:
    present = np.flatnonzero(counts_V)
    total = counts_V.sum()
    mean = counts_V @ INTENSITIES_V / total
    variance = counts_V @ np.square(INTENSITIES_V - mean) / total
    quantiles = [_quantile(counts_V, quantile) for quantile in QUANTILES.values()]
    return [value / 255 for value in (present[0], present[-1], mean, np.sqrt(variance), *quantiles)]


def _quantile(counts_V: np.ndarray, quantile: float) -> float:
    """`np.quantile` (linear) of the counted pixels; only the two neighbouring order statistics matter."""
    position = quantile * (counts_V.sum() - 1)
    rank = int(position)
    cumulative = np.cumsum(counts_V)
    lower, upper = np.searchsorted(cumulative, [rank, min(rank + 1, cumulative[-1] - 1)], side="right")
    return float(lower + (upper - lower) * (position - rank))
