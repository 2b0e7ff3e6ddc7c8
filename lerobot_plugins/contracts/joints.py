"""Limits of joints as URDF files state them, and signals made from them."""

from collections.abc import Iterable
from typing import NamedTuple

from lerobot_plugins.contracts.robot import Signal


class Joint(NamedTuple):
    """What a URDF says of a joint: radians (metres if it slides), per second, newton metres (newtons).

    A velocity or an effort of 0 means that the file does not say.
    """

    lower: float
    upper: float
    velocity: float = 0.0
    effort: float = 0.0

    def mirrored(self) -> "Joint":
        """The same joint on the other side of the body, where its axis keeps its direction."""
        return self._replace(lower=-self.upper, upper=-self.lower)

    def narrowed(self, lower: float, upper: float) -> "Joint":
        """The joint limited to what both it and `[lower, upper]` allow."""
        return self._replace(lower=max(self.lower, lower), upper=min(self.upper, upper))


def symmetric(limit: float, velocity: float = 0.0, effort: float = 0.0) -> Joint:
    """A joint that turns as far one way as the other."""
    return Joint(-limit, limit, velocity, effort)


def bare(name: str) -> str:
    """`name` without `.pos` or `.vel`, as most recordings spell it."""
    return name.removesuffix(".pos").removesuffix(".vel")


def joint_signals(
    names: Iterable[str], group: str, joints: dict[str, Joint], rate: float | None = None
) -> tuple[Signal, ...]:
    """A position signal for each joint of `names`, in order, limited as `joints` says.

    Args:
        names: Joints, as the model files name them.
        group: The part of the robot that they belong to.
        joints: Joint -> limits.
        rate: Largest commanded change in radians per second; None in a state.
    """
    return tuple(
        Signal(
            f"{name}.pos",
            "rad",
            group,
            lower=joints[name].lower,
            upper=joints[name].upper,
            rate=rate,
            joint=name,
            aliases=(name,),
        )
        for name in names
    )


def plain_signals(
    names: Iterable[str], unit: str, group: str, limit: float | None = None
) -> tuple[Signal, ...]:
    """A signal for each of `names`, none of them a joint, within plus and minus `limit`."""
    lower = None if limit is None else -limit
    return tuple(Signal(name, unit, group, lower=lower, upper=limit, aliases=(bare(name),)) for name in names)
