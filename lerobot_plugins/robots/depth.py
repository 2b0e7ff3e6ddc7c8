"""Depth pictures as a robot records them: metric, or the grey of older GR-2 recordings.

H, W height and width.
"""

import numpy as np

from lerobot_plugins.errors import ZooError


def legacy_gray3(depth_mm_HW1: np.ndarray) -> np.ndarray:
    """Depth as older GR-2 recordings have it, (H, W, 3) uint8: 255 * depth / the frame's maximum, rounded.

    0, where nothing was measured, stays 0. The scale differs from frame to frame and is lost: a policy that
    was trained on it needs it, new recordings are better metric.

    Args:
        depth_mm_HW1: (H, W, 1) uint16, mm.
    """
    largest = max(int(depth_mm_HW1.max()), 1)
    gray_HW1 = np.rint(depth_mm_HW1 * (255.0 / largest)).astype(np.uint8)
    return np.repeat(gray_HW1, 3, axis=2)


def millimetres(depth_HW1: np.ndarray) -> np.ndarray:
    """uint16 in mm from integers in mm, or from floats in mm; rounded, cut off at 65535.

    Raises:
        ZooError: A value is negative or not finite.
    """
    if not (np.isfinite(depth_HW1).all() and (depth_HW1 >= 0).all()):
        raise ZooError("a depth picture holds values that are no depth", expected="mm, 0 or more, finite")
    return np.rint(np.minimum(depth_HW1, 65535)).astype(np.uint16)
