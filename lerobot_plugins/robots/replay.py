"""The backend `replay`: a recorded episode answers, whatever is commanded.

Time passes as in the recording, from the first measurement that is asked for. After its last frame the robot
stands still.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from lerobot_plugins.contracts.robot import Camera, RobotContract
from lerobot_plugins.errors import first_names
from lerobot_plugins.robots.backend import Picture, Reading
from lerobot_plugins.robots.poses import rest_value
from lerobot_plugins.robots.recording import Recording

logger = logging.getLogger(__name__)


class ReplayOptions(Protocol):
    """What this backend reads of a robot's options; see `ZooRobotConfig`."""

    replay_repo_id: str | None
    replay_root: Path | None
    replay_episode: int
    replay_layout: str | None


class ReplayBackend:
    """A robot that does what was recorded.

    Args:
        contract: The robot.
        config: Its options.
        clock: Seconds that never go back.

    Raises:
        ZooError: As `Recording`.
    """

    def __init__(
        self,
        contract: RobotContract,
        config: ReplayOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._contract, self._clock = contract, clock
        self._recording = Recording(
            "robot.replay_",
            config.replay_repo_id,
            config.replay_root,
            config.replay_episode,
            contract.robot_type,
            config.replay_layout,
        )
        self._state: dict[str, np.ndarray] = {}
        self._frames = 0
        self._begun_s: float | None = None
        self._said_over = False

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """The recorded cameras, with their recorded sizes."""
        return self._recording.cameras

    @property
    def is_connected(self) -> bool:
        return self._frames > 0

    def connect(self) -> None:
        """Read the episode."""
        self._recording.open()
        self._state = self._recording.vectors("state")
        missing = [name for name in self._contract.state_names if name not in self._state]
        if missing:
            logger.warning(
                "The recording of layout %s lacks %s: they are at rest",
                self._recording.layout.name,
                first_names(missing),
            )
        for name in missing:
            resting = rest_value(self._contract.state_signals[name])
            self._state[name] = np.full(len(self._recording), resting)
        self._begun_s, self._said_over = None, False
        self._frames = len(self._recording)

    def disconnect(self) -> None:
        """Forget the episode."""
        self._frames = 0
        self._recording.close()

    def read(self) -> Reading:
        """The state of the present frame, measured when that frame began."""
        sequence = self._sequence()
        frame = self._frame(sequence)
        signals = {name: float(self._state[name][frame]) for name in self._contract.state_names}
        assert self._begun_s is not None
        return Reading(signals, sequence, self._begun_s + sequence / self._recording.fps)

    def picture(self, camera: str) -> Picture:
        """The recorded picture of the present frame; before the first measurement, of the first frame."""
        frame = 0 if self._begun_s is None else self._frame(self._sequence())
        return self._recording.picture(camera, frame)

    def write(self, targets: dict[str, float]) -> None:
        """Nothing: the past is not changed."""

    def hold(self) -> None:
        """Nothing."""

    def _sequence(self) -> int:
        now_s = self._clock()
        if self._begun_s is None:
            self._begun_s = now_s
        # A frame begins at its time, not a rounding error later.
        return int((now_s - self._begun_s) * self._recording.fps + 1e-6)

    def _frame(self, sequence: int) -> int:
        if sequence >= self._frames and not self._said_over:
            self._said_over = True
            logger.info("The recorded episode is over after %d frames: the robot stands still", self._frames)
        return min(sequence, self._frames - 1)
