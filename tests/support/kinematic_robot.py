"""A small robot for tests, and a backend of it without a simulator: joints of first order, a clock.

D dimensions; H, W height and width.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from lerobot_plugins.contracts.robot import Camera, RobotContract, Signal
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Picture, Reading

SMALL = RobotContract(
    robot_type="small",
    state=(
        Signal("shoulder.pos", "rad", "left_arm", -2.0, 2.0),
        Signal("elbow.pos", "rad", "left_arm", -1.5, 0.5),
        Signal("gripper.pos", "unit", "left_gripper", 0.0, 1.0),
        Signal("base_x.vel", "m/s", "base", -1.0, 1.0),
        Signal("heading.pos", "rad", "base"),
    ),
    action=(
        Signal("shoulder.pos", "rad", "left_arm", -2.0, 2.0, rate=2.0),
        Signal("elbow.pos", "rad", "left_arm", -1.5, 0.5, rate=1.0),
        Signal("absent.pos", "rad", "left_arm", exists=False),
        Signal("gripper.pos", "unit", "left_gripper", 0.0, 1.0, rate=4.0),
        Signal("base_x.vel", "m/s", "base", -1.0, 1.0, rate=2.0),
        Signal("lift.vel", "m/s", "base", rate=1.0),
    ),
    cameras=(Camera("head", 12, 16, depth=True), Camera("wrist", 12, 16)),
    fps=20,
)


@dataclass
class Clock:
    """Seconds that pass when told to."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class KinematicBackend:
    """A robot whose joints approach their targets by the law of first order, with faults to inject.

    Args:
        contract: The robot.
        clock: Its time.
        lag_s: Time constant of the joints.
        frozen: Whether measurements stop arriving.
        reported: Values to report instead of the true ones.
    """

    contract: RobotContract
    clock: Clock
    lag_s: float = 0.05
    frozen: bool = False
    reported: dict[str, float] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    written: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.position = {
            signal.name: 0.0 if signal.lower is None else min(max(0.0, signal.lower), signal.upper or 0.0)
            for signal in self.contract.state
        }
        self.target: dict[str, float] = {}
        self._connected = False
        self._moved_s = self.clock()
        self._reading = Reading({}, 0, -math.inf)

    @property
    def is_connected(self) -> bool:
        return self._connected

    def connect(self) -> None:
        self.calls.append("connect")
        self._connected = True
        self._moved_s = self.clock()

    def disconnect(self) -> None:
        self.calls.append("disconnect")
        self._connected = False

    def read(self) -> Reading:
        self._advance()
        if not self.frozen:
            signals = self.position | self.reported
            self._reading = Reading(signals, self._reading.sequence + 1, self.clock())
        return self._reading

    def picture(self, camera: str) -> Picture:
        shown = next((known for known in self.contract.cameras if known.name == camera), None)
        if shown is None:
            raise ZooError("no such camera", got=camera)
        rows_HW, columns_HW = np.indices((shown.height, shown.width))
        rgb_HWC = np.stack([rows_HW, columns_HW, rows_HW + columns_HW], axis=2).astype(np.uint8)
        depth_HW1 = (500 + rows_HW + columns_HW).astype(np.uint16)[:, :, None] if shown.depth else None
        return Picture(rgb_HWC, depth_HW1)

    def write(self, targets: dict[str, float]) -> None:
        self._advance()
        self.calls.append("write")
        self.written.append(dict(targets))
        self.target = dict(targets)

    def hold(self) -> None:
        self._advance()
        self.calls.append("hold")
        self.target = {
            name: 0.0 if name.endswith(".vel") else self.position.get(name, 0.0) for name in self.target
        }

    def _advance(self) -> None:
        passed_s = self.clock() - self._moved_s
        self._moved_s = self.clock()
        share = 1 - math.exp(-passed_s / self.lag_s)
        for name, target in self.target.items():
            if name not in self.position:
                continue
            if name.endswith(".vel"):
                self.position[name] = target
            else:
                self.position[name] += share * (target - self.position[name])
