"""Whether a curve still falls, against its own noise.

Shapes: N logged steps.
"""

import math
from typing import NamedTuple

import numpy as np

# 97.5th percentile of the normal distribution.
Z_95 = 1.959964


class Trend(NamedTuple):
    """The change of a line fitted over a window, and its standard error, as of a normal distribution."""

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
    """A least-squares line, its slope's error widened for noise that is correlated from one step to the next.

    The noise is what a cubic leaves over: a line would take the bend of a learning curve for noise. Its
    correlation r widens the error by sqrt((1 + r) / (1 - r)), and Student's quantile takes the place of the
    normal one. Newey and West's error is far too small for the few lines of a log: it sees a trend in a
    quarter of all curves of 10 independent values.

    Args:
        step_N: Steps.
        value_N: Finite values; N at least 6.
    """
    count = len(step_N)
    span = float(step_N[-1] - step_N[0])
    x_N = (step_N - step_N.mean()) / span
    slope = float(x_N @ value_N / (x_N @ x_N))
    rest_N = value_N - np.polyval(np.polyfit(x_N, value_N, 3), x_N)
    energy = float(rest_N @ rest_N)
    raw = float(rest_N[1:] @ rest_N[:-1]) / energy if energy > 0 else 0.0
    # What a fit of four numbers leaves over looks less correlated than the noise is.
    correlation = min(0.97, max(0.0, raw + (4 + 4 * max(raw, 0.0)) / count))
    widening = math.sqrt((1 + correlation) / (1 - correlation))
    freedom = max(2.0, count * (1 - correlation) / (1 + correlation) - 2)
    error = widening * math.sqrt(energy / (count - 4) / float(x_N @ x_N)) * _student_95(freedom) / Z_95
    return Trend(int(step_N[0]), int(step_N[-1]), float(value_N.mean()), slope, error)


def _student_95(freedom: float) -> float:
    """The 97.5th percentile of Student's distribution, by Cornish and Fisher's expansion."""
    z = Z_95
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
