"""The colours in which BEHAVIOR-1K's segmentation videos paint instances."""

import itertools

import numpy as np


def palette(instances: int) -> np.ndarray:
    """The colour of each instance, uint8 (instances, 3); a pixel belongs to the nearest one.

    The channels have the least number of levels that suffices, evenly over the range of a video's luma and
    chroma; the first channel changes slowest.
    """
    levels = next(level for level in itertools.count(1) if level**3 >= instances)
    channels = [np.linspace(16, highest, levels, dtype=np.uint8) for highest in (235, 240, 240)]
    colours = itertools.islice(itertools.product(*channels), instances)
    return np.array(list(colours), dtype=np.uint8).reshape(-1, 3)
