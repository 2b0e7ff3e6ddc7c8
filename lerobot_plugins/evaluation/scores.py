"""How far predicted actions are from recorded ones: plain functions on arrays.

Shapes: N rows (frames of a trajectory or steps of a chunk), A action dimensions, V dimensions that vary in
the dataset. A prediction that is not finite is NaN in every array here, and it makes each number it enters
NaN: a mean over the remaining rows would flatter a policy that failed.
"""

from dataclasses import dataclass

import numpy as np

BIN_COUNTS = (8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class ActionRange:
    """The dataset's smallest and largest value per action dimension: raw units to [-1, 1].

    A dimension that is constant in the dataset has no range; normalised numbers leave it out.
    """

    low_A: np.ndarray
    high_A: np.ndarray

    @property
    def varying(self) -> np.ndarray:
        """Which dimensions have a range beyond float32 rounding."""
        scale_A = np.maximum(1.0, np.maximum(abs(self.low_A), abs(self.high_A)))
        return (self.high_A - self.low_A) > 1e-6 * scale_A

    @property
    def middle(self) -> np.ndarray:
        return (self.low_A + self.high_A) / 2

    def normalize(self, x_NA: np.ndarray) -> np.ndarray:
        """(N, A) raw values to (N, V): the varying dimensions, minimum at -1 and maximum at +1."""
        keep_A = self.varying
        low_V, high_V = self.low_A[keep_A], self.high_A[keep_A]
        return 2 * (x_NA[:, keep_A] - low_V) / (high_V - low_V) - 1


def mean(x: np.ndarray) -> float:
    """The mean, NaN of nothing."""
    return float(x.mean()) if x.size else float("nan")


def error_numbers(error_NA: np.ndarray) -> dict[str, float]:
    """mse, mae, rmse, max_abs over all rows and dimensions; l2 is the mean length of a row's error."""
    squared_NA = error_NA**2
    mse = mean(squared_NA)
    return {
        "mse": mse,
        "mae": mean(abs(error_NA)),
        "rmse": float(np.sqrt(mse)),
        "l2": mean(np.sqrt(squared_NA.sum(axis=1))) if error_NA.size else float("nan"),
        "max_abs": float(abs(error_NA).max()) if error_NA.size else float("nan"),
    }


def bin_index(x: np.ndarray, bins: int) -> np.ndarray:
    """Which of `bins` equal bins over [-1, 1] a normalised value falls into; outside counts as the edge."""
    return np.clip(np.floor((x + 1) / 2 * bins), 0, bins - 1)


def bin_accuracy(predicted_NV: np.ndarray, recorded_NV: np.ndarray, bins: int) -> dict[str, float]:
    """Share of values whose bin is the recorded one (`exact`) or at most its neighbour (`within_one`)."""
    distance_NV = abs(bin_index(predicted_NV, bins) - bin_index(recorded_NV, bins))
    return {"exact": share(distance_NV, 0), "within_one": share(distance_NV, 1)}


def share(distance: np.ndarray, limit: float) -> float:
    """Share of values that are at most `limit`; NaN if any of them is."""
    return float("nan") if np.isnan(distance).any() else mean(distance <= limit)


def out_of_range_fraction(x_NV: np.ndarray) -> float:
    """Share of normalised values outside [-1, 1], with a margin for float32 rounding."""
    return 1 - share(abs(x_NV), 1 + 1e-5)


def side_agreement(predicted_N: np.ndarray, recorded_N: np.ndarray, middle: float) -> float:
    """Share of rows on which both lie on the same side of the middle (an open or a closed gripper)."""
    if np.isnan(predicted_N).any():
        return float("nan")
    return mean((predicted_N > middle) == (recorded_N > middle))


def step_change(x_NV: np.ndarray, sequence_N: np.ndarray) -> float:
    """Mean absolute change from one row to the next, inside each sequence."""
    within_N = sequence_N[1:] == sequence_N[:-1]
    return mean(abs(np.diff(x_NV, axis=0)[within_N]))
