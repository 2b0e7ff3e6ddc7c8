"""Where the numbers of each dimension lie over all episodes. Several checks read it.

T frames, D dimensions, K kept frames.
"""

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension, columns_of
from lerobot_plugins.doctor.dataset.findings import Place
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

#: Frames that are kept for medians: evenly spread, doubling the distance whenever there are too many.
KEPT = 4096
# Whoever stands beyond a limit by less is a matter of calibration: radians (metres), and a part of the range.
SLACK, SLACK_OF_RANGE = 0.1, 0.05


class Ranges:
    """Extremes, kept frames and limits passed, in the units of the signals.

    Args:
        dimensions: Whose numbers.
    """

    def __init__(self, dimensions: list[Dimension]) -> None:
        self.dimensions = dimensions
        count = len(dimensions)
        self.frames = 0
        self.low_D = np.full(count, np.inf)
        self.high_D = np.full(count, -np.inf)
        self.outside_D = np.zeros(count, dtype=np.int64)  # frames beyond a limit and its slack
        self.first: dict[int, tuple[Place, float]] = {}
        self.lower_D = np.array([_limit(d, "lower", -np.inf) for d in dimensions])
        self.upper_D = np.array([_limit(d, "upper", np.inf) for d in dimensions])
        self.slack_D = np.array([slack(d) for d in dimensions])
        self._stride = 1
        #: Frames spread evenly over the dataset, (K, D).
        self.kept_KD: np.ndarray = np.zeros((0, count))

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        values_TD = columns_of(episode.columns, self.dimensions)
        if not values_TD.size:
            return
        self.low_D = np.minimum(self.low_D, values_TD.min(0))
        self.high_D = np.maximum(self.high_D, values_TD.max(0))
        outside_TD = (values_TD < self.lower_D - self.slack_D) | (values_TD > self.upper_D + self.slack_D)
        for i in np.flatnonzero(outside_TD.any(0)):
            if int(i) not in self.first:
                frame = int(outside_TD[:, i].argmax())
                self.first[int(i)] = (Place(episode.index, frame), float(values_TD[frame, i]))
        self.outside_D += outside_TD.sum(0)
        first = -self.frames % self._stride
        self.kept_KD = np.concatenate([self.kept_KD, values_TD[first :: self._stride]])
        self.frames += len(values_TD)
        while len(self.kept_KD) > KEPT:
            self.kept_KD = self.kept_KD[::2].copy()
            self._stride *= 2

    @property
    def span(self) -> np.ndarray:
        """Largest minus smallest value, (D,)."""
        return np.where(self.high_D >= self.low_D, self.high_D - self.low_D, 0.0)

    def within(self, dimension: int, other: int) -> bool:
        """Whether the numbers of a dimension fit the limits of another one."""
        room = self.slack_D[other]
        return bool(
            self.low_D[dimension] >= self.lower_D[other] - room
            and self.high_D[dimension] <= self.upper_D[other] + room
        )


def slack(dimension: Dimension) -> float:
    """By how much a number may pass its limits without being a problem, in the signal's unit."""
    signal = dimension.signal
    if signal is None or signal.lower is None or signal.upper is None:
        return SLACK
    # What hands obey reaches beyond their URDF: a fist's thumb by 0.12.
    least = 0.15 if signal.group.endswith("hand") else SLACK
    return max(
        least if signal.unit in ("rad", "unit", "1") else 0.0, SLACK_OF_RANGE * (signal.upper - signal.lower)
    )


def _limit(dimension: Dimension, side: str, otherwise: float) -> float:
    value = getattr(dimension.signal, side) if dimension.signal else None
    return otherwise if value is None else float(value)
