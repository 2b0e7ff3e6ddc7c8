"""Depth as LeRobot stores it: a logarithmic law with 12 bits, in a lossless grey video.

The numbers are LeRobot's own (`DepthEncoderConfig`; a test compares), which took them from BEHAVIOR-1K.

H, W height and width; V the 4096 codes.
"""

import numpy as np

from lerobot_plugins.errors import ZooError

MINIMUM, MAXIMUM, SHIFT = 0.01, 10.0, 3.5
CODES = 4096
_LOG_MINIMUM, _LOG_MAXIMUM = np.log(MINIMUM + SHIFT), np.log(MAXIMUM + SHIFT)


def metres(codes: np.ndarray, levels: int = CODES) -> np.ndarray:
    """The depth of codes of the law with that many levels, float64."""
    logarithm = codes / (levels - 1) * (_LOG_MAXIMUM - _LOG_MINIMUM) + _LOG_MINIMUM
    return np.clip(np.exp(logarithm) - SHIFT, MINIMUM, MAXIMUM)


def quantize(depth: np.ndarray, levels: int = CODES) -> np.ndarray:
    """The nearest codes, uint16, of depths in metres; what lies outside the law's range gets its end.

    Raises:
        ZooError: A depth is not finite.
    """
    if not np.isfinite(depth).all():
        raise ZooError("a depth is not finite", expected=f"metres, {MINIMUM} to {MAXIMUM} can be stored")
    inside = np.clip(depth, MINIMUM, MAXIMUM)
    fraction = (np.log(inside + SHIFT) - _LOG_MINIMUM) / (_LOG_MAXIMUM - _LOG_MINIMUM)
    return np.rint(fraction * (levels - 1)).astype(np.uint16)


METRES_V = metres(np.arange(CODES))
