"""Whether a curve still falls, against its own noise.

Shapes: N logged steps.
"""

import math
from typing import NamedTuple

import numpy as np

# 97.5th percentile of the normal distribution.
Z_95 = 1.959964


class Trend(NamedTuple):
    """The change of a line fitted over a window, and its standard error."""

    first_step: int
    last_step: int
    level: float
    change: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """Of the change, 95 %."""
        return self.change - Z_95 * self.error, self.change + Z_95 * self.error

    @property
    def direction(self) -> str:
        """`falling`, `rising`, or `flat` where noise explains the change."""
        low, high = self.interval
        return "falling" if high < 0 else "rising" if low > 0 else "flat"


def trend(step_N: np.ndarray, value_N: np.ndarray) -> Trend:
    """A least-squares line, its slope's error by Newey and West (1987): logged losses are correlated.

    With Bartlett's weights up to lag L = floor(4 (N / 100)^(2/9)).

    Args:
        step_N: Steps.
        value_N: Finite values; N at least 3.
    """
    x_N = step_N - step_N.mean()
    slope = float(x_N @ value_N / (x_N @ x_N))
    residual_N = value_N - value_N.mean() - slope * x_N
    score_N = x_N * residual_N
    lags = math.floor(4 * (len(x_N) / 100) ** (2 / 9))
    variance = float(score_N @ score_N)
    for lag in range(1, min(lags, len(x_N) - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(score_N[lag:] @ score_N[:-lag])
    # Small samples: two parameters were fitted.
    variance *= len(x_N) / max(len(x_N) - 2, 1)
    span = float(step_N[-1] - step_N[0])
    error = math.sqrt(max(variance, 0.0)) / float(x_N @ x_N)
    return Trend(int(step_N[0]), int(step_N[-1]), float(value_N.mean()), slope * span, error * span)
