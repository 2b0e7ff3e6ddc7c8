"""What stands between a robot plugin and its robot: a simulator, a recording, or a transport."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Reading:
    """What the robot measured last.

    Args:
        signals: Value of each signal of the contract's state, in the contract's units.
        sequence: Grows with each fresh measurement; the same number is the same measurement.
        received_s: `time.monotonic()` when the measurement arrived.
    """

    signals: dict[str, float]
    sequence: int
    received_s: float


@dataclass(frozen=True)
class Picture:
    """What a camera saw: (H, W, 3) uint8 and, where it measures depth, (H, W, 1) uint16 in mm."""

    rgb: np.ndarray
    depth_mm: np.ndarray | None = None


class Backend(Protocol):
    """A way to a robot. It moves what it is told to: limits are checked before, in `safety`.

    Constructors touch neither hardware nor network and import no SDK; `connect` does.
    Everything that goes wrong is a `ZooError` that names the joint, topic or address.

    A robot with modes of its own may add `verify_mode()`, which raises in a mode that obeys no commands, and
    `unobeyed`, the names of action signals that the present mode ignores.
    """

    @property
    def is_connected(self) -> bool:
        """Whether `connect` succeeded and `disconnect` was not called since."""

    def connect(self) -> None:
        """Open the way and wait for the first complete measurement."""

    def disconnect(self) -> None:
        """Zero all velocities, then close the way; may be called twice."""

    def read(self) -> Reading:
        """The latest measurement, complete; never waits longer than a control period."""

    def picture(self, camera: str) -> Picture:
        """The latest picture of one of the backend's own cameras (simulation and replay have them)."""

    def write(self, targets: dict[str, float]) -> None:
        """Send targets of all existing action signals, in the contract's units, checked and limited."""

    def hold(self) -> None:
        """Hold the present position and zero all velocities: what the watchdog does."""
