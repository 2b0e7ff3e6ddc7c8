"""Measured velocities against the positions that they belong to: they tell the true frame rate.

A robot that is commanded in steps may all but stand when it is measured, each joint in its own way. A wrong
rate scales all joints alike.

T frames, V pairs of position and velocity.
"""

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension, columns_of
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, listed, ok, problem
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

_ALIKE = 0.9  # correlation from which a pair counts
_OFF = 1.25  # factor
_WITHIN, _MOST = 0.1, 0.8  # so near to the median must so many joints be


class Speeds:
    """Joints of the state that are recorded as position and as velocity.

    Args:
        states: Dimensions of the state.
        fps: Frames per second, as the dataset says.
    """

    name = "fps"

    def __init__(self, states: list[Dimension], fps: float) -> None:
        self._fps = fps
        positions = {
            d.signal.joint: d for d in states if d.signal and d.signal.joint and d.name.endswith(".pos")
        }
        positions |= {
            d.signal.name.removesuffix(".pos"): d
            for d in states
            if d.signal and d.signal.name.endswith(".pos")
        }
        self._pairs = [
            (positions[d.signal.name.removesuffix(".vel")], d)
            for d in states
            if d.signal and d.signal.is_velocity and d.signal.name.removesuffix(".vel") in positions
        ]
        self._sums = np.zeros((3, len(self._pairs)))

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        if not self._pairs or len(episode) < 3:
            return
        position_TV = columns_of(episode.columns, [pair[0] for pair in self._pairs])
        velocity_TV = columns_of(episode.columns, [pair[1] for pair in self._pairs])
        moved_TV = np.diff(position_TV, axis=0) * self._fps
        mean_TV = (velocity_TV[1:] + velocity_TV[:-1]) / 2
        self._sums += [(moved_TV**2).sum(0), (mean_TV**2).sum(0), (moved_TV * mean_TV).sum(0)]

    def findings(self) -> list[DatasetFinding]:
        """One, if most velocities say that the clock runs at another rate."""
        moved_V, measured_V, product_V = self._sums
        alike_V = product_V > _ALIKE * np.sqrt(moved_V * measured_V)
        alike_V &= (moved_V > 0) & (measured_V > 0)
        if alike_V.sum() < 3:
            return []
        factors = measured_V[alike_V] / product_V[alike_V]
        factor = float(np.median(factors))
        if (np.abs(factors / factor - 1) < _WITHIN).mean() < _MOST or 1 / _OFF < factor < _OFF:
            return [ok(self.name, f"velocities do not contradict {self._fps:g} frames per second")]
        names = [pair[0].name for pair, alike in zip(self._pairs, alike_V, strict=True) if alike]
        true = self._fps * factor
        return [
            problem(
                self.name,
                f"the joints' velocities say that there are {true:.1f} frames per second, info.json says "
                f"{self._fps:g} ({listed(names)})",
                "record or convert the dataset again with its true rate",
                value=self._fps,
                limit=round(true, 1),
            )
        ]
