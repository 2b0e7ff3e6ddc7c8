"""One description of a robot, from which features, checks, limits and conversions are derived.

A *signal* is one number of the robot's state or action, under the name that LeRobot sees. Names end in `.pos`
or `.vel`: `lerobot-rollout` drops every other scalar.
"""

from dataclasses import dataclass, field
from functools import cached_property

from lerobot_plugins.errors import ZooError

#: `unit` runs from 0 closed to 1 open; `1` is a number without a unit (a quaternion's).
UNITS = ("rad", "rad/s", "m", "m/s", "m/s^2", "unit", "1")


@dataclass(frozen=True)
class Signal:
    """One number of a state or an action.

    Args:
        name: The key that LeRobot sees; ends in `.pos` or `.vel`.
        unit: One of `UNITS`.
        group: The part of the robot: `left_arm`, `right_hand`, `head`, `torso`, `base`, `imu` ...
        lower: Smallest value that the robot can have, in `unit`; None if unbounded or unknown.
        upper: Largest value, likewise.
        rate: Largest change per second of a command, in `unit` per second; None if not commanded.
        joint: Name of the joint in the robot's model files; None for what is no joint.
        exists: False for a number that layouts carry and this robot has no joint for: 0, never sent.
        aliases: Other spellings of `name` in datasets.
    """

    name: str
    unit: str
    group: str
    lower: float | None = None
    upper: float | None = None
    rate: float | None = None
    joint: str | None = None
    exists: bool = True
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.endswith((".pos", ".vel")):
            raise ZooError(
                "lerobot-rollout drops this signal", got=self.name, expected="a name ending in .pos or .vel"
            )
        if self.unit not in UNITS:
            raise ZooError(f"unknown unit of {self.name}", got=self.unit, expected=" or ".join(UNITS))
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ZooError(
                f"limits of {self.name} are reversed", got=(self.lower, self.upper), expected="lower < upper"
            )

    @property
    def is_velocity(self) -> bool:
        """Whether it is a rate, which is 0 when nothing is commanded; a position is held instead."""
        return self.name.endswith(".vel")


@dataclass(frozen=True)
class Camera:
    """A camera of the robot: size in pixels, whether it also measures depth."""

    name: str
    height: int
    width: int
    depth: bool = False


@dataclass(frozen=True)
class RobotContract:
    """What one robot measures and obeys, in the order in which LeRobot concatenates it.

    Args:
        robot_type: The name under which LeRobot knows it, `fourier_gr2`.
        state: Signals of `observation.state`, in order.
        action: Signals of `action`, in order.
        cameras: The robot's own cameras.
        fps: Usual rate of control and recording.
        sources: Where the facts come from, for readers.
    """

    robot_type: str
    state: tuple[Signal, ...]
    action: tuple[Signal, ...]
    cameras: tuple[Camera, ...] = ()
    fps: int = 30
    sources: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for kind, names in (("state", self.state_names), ("action", self.action_names)):
            if len(set(names)) != len(names):
                twice = sorted({name for name in names if names.count(name) > 1})
                raise ZooError(f"{self.robot_type}: a signal of the {kind} is named twice", got=twice)

    @cached_property
    def state_names(self) -> list[str]:
        """Names of the state's signals, in order."""
        return [signal.name for signal in self.state]

    @cached_property
    def action_names(self) -> list[str]:
        """Names of the action's signals, in order."""
        return [signal.name for signal in self.action]

    @cached_property
    def action_signals(self) -> dict[str, Signal]:
        """Name -> signal of the action."""
        return {signal.name: signal for signal in self.action}

    @cached_property
    def state_signals(self) -> dict[str, Signal]:
        """Name -> signal of the state."""
        return {signal.name: signal for signal in self.state}
