"""The few ROS 2 messages of a Galaxea robot that are heard and sent, without a transport's types."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Joints:
    """`sensor_msgs/JointState`: values by index.

    Args:
        position: Radians, or mm of a gripper.
        velocity: In feedback the measured one; in a command the largest one. May be empty.
        names: What the sender calls them.
        stamp_s: When it was measured, by the sender's clock; 0 if it does not say.
    """

    position: Sequence[float]
    velocity: Sequence[float] = ()
    names: Sequence[str] = ()
    stamp_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Speeds:
    """`geometry_msgs/TwistStamped`: x, y, z of each, in m/s and rad/s (m/s^2 and rad/s^2 in a limit)."""

    linear: Sequence[float] = (0.0, 0.0, 0.0)
    angular: Sequence[float] = (0.0, 0.0, 0.0)
    stamp_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Flag:
    """`std_msgs/Bool`."""

    on: bool


@dataclass(frozen=True, slots=True)
class Compressed:
    """`sensor_msgs/CompressedImage`: a picture as a file."""

    format: str
    data: bytes
    stamp_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Pixels:
    """`sensor_msgs/Image`: `height` rows of `step` bytes."""

    height: int
    width: int
    encoding: str
    big_endian: bool
    step: int
    data: bytes
    stamp_s: float = 0.0


type Message = Joints | Speeds | Flag | Compressed | Pixels


def numbers(message: Message) -> dict[str, Sequence[float]]:
    """The numbers of a message by field."""
    if isinstance(message, Joints):
        return {"position": message.position, "velocity": message.velocity}
    if isinstance(message, Speeds):
        return {"linear": message.linear, "angular": message.angular}
    return {}


def first_not_finite(values: Sequence[float]) -> int | None:
    """Index of the first number that is not finite."""
    return next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
