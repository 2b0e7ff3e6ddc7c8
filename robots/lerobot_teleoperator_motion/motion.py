"""A scripted and a recorded motion as LeRobot's teleoperators: `lerobot-record` without hands."""

import math
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from lerobot.teleoperators import Teleoperator, TeleoperatorConfig

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.robot import RobotContract, Signal
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.robots.dialect import Dialect
from lerobot_plugins.robots.poses import resting_pose
from lerobot_plugins.robots.recording import Recording
from lerobot_teleoperator_motion.config_motion import ReplayMotionConfig, ScriptedMotionConfig

# A swing peaks at this share of the joint's rate, so that a robot can follow it.
_SHARE_OF_RATE = 0.5
# A longer pause between two actions (LeRobot encodes an episode's videos) is no part of the motion.
LONGEST_STEP_S = 0.5


class Motion(Teleoperator):
    """A teleoperator that follows a function of time, from the first action that is asked for.

    While no actions are asked for its time stands still, as the robot does.

    Args:
        config: The options.
        contract: The robot.
        layout: The layout that the robot speaks.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        config: TeleoperatorConfig,
        contract: RobotContract,
        layout: str | None,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(config)
        self.config = config
        self.contract = contract
        self._dialect = Dialect(contract, layout)
        self._clock = clock
        self._passed_s, self._asked_s = 0.0, math.inf
        self._connected = False

    @abstractmethod
    def signals_at(self, passed_s: float) -> dict[str, float]:
        """Every action signal at a time since the first action, in the contract's units."""

    @property
    def action_features(self) -> dict[str, type]:
        """The action's keys, in the order that the robot has."""
        return dict.fromkeys(self._dialect.keys("action"), float)

    @property
    def feedback_features(self) -> dict[str, type]:
        """None."""
        return {}

    @property
    def is_connected(self) -> bool:
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    def connect(self, calibrate: bool = True) -> None:
        """Get ready; time begins with the first action."""
        self._connected = True
        self._passed_s, self._asked_s = 0.0, math.inf

    def disconnect(self) -> None:
        """May be called twice."""
        self._connected = False

    def send_feedback(self, feedback: dict[str, Any]) -> None:
        """Nothing: it feels nothing."""

    def get_action(self) -> dict[str, float]:
        """The motion's action now.

        Raises:
            ZooError: Not connected.
        """
        if not self._connected:
            raise ZooError(f"{self.name} is not connected", do="call connect() first")
        now_s = self._clock()
        self._passed_s += min(max(now_s - self._asked_s, 0.0), LONGEST_STEP_S)
        self._asked_s = now_s
        return self._dialect.spoken("action", self.signals_at(self._passed_s))


class ScriptedMotion(Motion):
    """Joints that swing as (1 - cos) / 2: from rest and back to rest, each with a period of its own.

    Rest is where the simulated robot wakes, so there a recording begins without a way to the first action.

    Raises:
        ZooError: An unknown robot, or a group that it does not have.
    """

    config_class = ScriptedMotionConfig
    name = "scripted_motion"

    def __init__(self, config: ScriptedMotionConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        contract = catalog.contract(config.robot)
        super().__init__(config, contract, config.layout, clock)
        groups = list(dict.fromkeys(signal.group for signal in contract.action))
        chosen = [group for group in groups if group != "base"] if config.groups is None else config.groups
        unknown = [group for group in chosen if group not in groups]
        if unknown:
            raise ZooError(
                f"teleop.groups names parts that {config.robot} does not command",
                got=first_names(unknown),
                expected=", ".join(groups),
                do="correct --teleop.groups",
            )
        self._rest = resting_pose(contract)
        self._swings = {
            signal.name: _swing(signal, self._rest[signal.name], i, config)
            for i, signal in enumerate(contract.action)
            if signal.group in chosen and signal.exists
        }

    def signals_at(self, passed_s: float) -> dict[str, float]:
        signals = dict(self._rest)
        for name, (reach, period_s) in self._swings.items():
            signals[name] += reach * (1 - math.cos(2 * math.pi * passed_s / period_s)) / 2
        return signals


class ReplayMotion(Motion):
    """The actions of a recorded episode.

    Raises:
        ZooError: As `Recording`; or the dataset's actions lack signals of the robot.
    """

    config_class = ReplayMotionConfig
    name = "replay_motion"

    def __init__(self, config: ReplayMotionConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._recording = Recording(
            "teleop.", config.repo_id, config.root, config.episode, config.robot, config.dataset_layout
        )
        super().__init__(config, catalog.contract(self._recording.robot_type), config.layout, clock)
        recorded = {column.signal for column in self._recording.layout.action}
        missing = [
            signal.name
            for signal in self.contract.action
            if signal.exists and not signal.is_velocity and signal.name not in recorded
        ]
        if missing:
            raise ZooError(
                f"the recorded actions do not say where {self._recording.robot_type} goes",
                got=f"no {first_names(missing)}",
                expected="every position of the robot's action",
                do="convert the dataset to the robot's layout first",
            )
        self._loop = config.loop
        self._actions: dict[str, np.ndarray] = {}
        self._frames = 0

    def connect(self, calibrate: bool = True) -> None:
        """Read the episode."""
        self._recording.open()
        self._frames = len(self._recording)
        self._actions = self._recording.vectors("action")
        self._recording.close()
        super().connect(calibrate)

    def signals_at(self, passed_s: float) -> dict[str, float]:
        frame = int(passed_s * self._recording.fps + 1e-6)
        ended = frame >= self._frames
        frame = frame % self._frames if self._loop else min(frame, self._frames - 1)
        signals = dict.fromkeys(self.contract.action_names, 0.0)
        for name, values in self._actions.items():
            # After the end a robot stands: its base does not drive on.
            if name in signals and not (ended and not self._loop and name.endswith(".vel")):
                signals[name] = float(values[frame])
        return signals


def _swing(signal: Signal, rest: float, index: int, config: ScriptedMotionConfig) -> tuple[float, float]:
    """How far a joint goes, with its sign, and its period."""
    rate, period_s = signal.rate or 0.0, config.period_s * (1 + index % 6 / 10)
    room_up = 0.0 if signal.upper is None else signal.upper - rest
    room_down = 0.0 if signal.lower is None else rest - signal.lower
    # The speed of (1 - cos) / 2 peaks at reach * pi / period.
    reach = min(config.amplitude * max(room_up, room_down), _SHARE_OF_RATE * rate * period_s / math.pi)
    return (reach if room_up >= room_down else -reach), period_s
