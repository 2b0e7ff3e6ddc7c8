"""What a robot's commands may be: the contract's limits and rates with a user's own."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lerobot_plugins.contracts.robot import RobotContract, Signal
from lerobot_plugins.errors import ZooError, first_names


@dataclass(frozen=True)
class Bounds:
    """Between which values one commanded signal lies and how fast it changes, in the signal's unit.

    Args:
        signal: The signal.
        lower: Smallest value; minus infinity if there is none.
        upper: Largest value, likewise.
        rate: Largest change per second.
        slack: A command that exceeds a limit by up to this is clamped; by more, refused.
    """

    signal: Signal
    lower: float
    upper: float
    rate: float
    slack: float

    def excess(self, value: float) -> float:
        """How far `value` lies outside the limits; 0 inside."""
        return max(self.lower - value, value - self.upper, 0.0)

    def clamp(self, value: float) -> float:
        """The nearest value inside the limits."""
        return min(max(value, self.lower), self.upper)


def bounds_of(
    contract: RobotContract,
    limits: Mapping[str, Sequence[float]] | None = None,
    rates: Mapping[str, float] | None = None,
    margin: float = 0.2,
) -> dict[str, Bounds]:
    """The bounds of each action signal that the robot has, in the contract's order.

    A velocity without known limits gets none but 0: it moves only where `limits` says how fast.

    Args:
        contract: The robot.
        limits: Other limits, (lower, upper) by the signal's name.
        rates: Other rates by the signal's name.
        margin: `slack` as a share of a signal's range.

    Raises:
        ZooError: An unknown name, reversed or non-finite limits, a rate that is not above 0, or a contract
            that commands a position without a rate or a measurement.
    """
    limits, rates = limits or {}, rates or {}
    signals = {signal.name: signal for signal in contract.action if signal.exists}
    for option, given in (("limits", limits), ("rates", rates)):
        for name in given:
            if name not in signals:
                raise ZooError(
                    f"robot.{option} names no commanded signal of {contract.robot_type}",
                    got=name,
                    expected=close_names(name, signals),
                    do=f"correct --robot.{option}",
                )
    return {
        name: _bounds(signal, contract, limits.get(name), rates.get(name, signal.rate), margin)
        for name, signal in signals.items()
    }


def held_positions(bounds: Mapping[str, Bounds], signals: Mapping[str, float]) -> dict[str, float]:
    """Where to hold each position: where it is measured. Signals that are not measured are left out.

    Raises:
        ZooError: A measurement that is not finite or far outside its limits: that is no place to hold at.
    """
    held = {name: float(signals[name]) for name, of in bounds.items() if _is_held(of, signals)}
    for name, value in held.items():
        if not math.isfinite(value) or bounds[name].excess(value) > bounds[name].slack:
            raise ZooError(
                f"{name} cannot be held where it is measured",
                got=f"{value:.4g} {bounds[name].signal.unit}",
                expected=f"{bounds[name].lower:.4g} to {bounds[name].upper:.4g}, or slightly beyond",
                do="look after the robot's feedback",
            )
    return held


def _is_held(bounds: Bounds, signals: Mapping[str, float]) -> bool:
    return not bounds.signal.is_velocity and bounds.signal.name in signals


def close_names(name: str, known: Iterable[str]) -> str:
    """The known names that look most like `name`."""
    known = list(known)
    return (
        " or ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.5)) or f"one of {first_names(known)}"
    )


def _bounds(
    signal: Signal, contract: RobotContract, limits: Sequence[float] | None, rate: float | None, margin: float
) -> Bounds:
    name = signal.name
    if rate is None or not (math.isfinite(rate) and rate > 0):
        raise ZooError(
            f"{name} has no usable rate",
            got=rate,
            expected="a number above 0, unit per second",
            do="give one with --robot.rates",
        )
    if not signal.is_velocity and signal.group != "base" and name not in contract.state_signals:
        raise ZooError(f"{name} is commanded and not measured", expected=f"{name} in the state")
    if limits is not None:
        if len(limits) != 2 or not all(map(math.isfinite, limits)) or limits[0] >= limits[1]:
            raise ZooError(
                f"the limits of {name} are no interval",
                got=list(limits),
                expected="[lower, upper]",
                do="correct --robot.limits",
            )
        lower, upper = limits
    elif signal.is_velocity and (signal.lower is None or signal.upper is None):
        return Bounds(signal, 0.0, 0.0, rate, slack=math.inf)
    else:
        lower = -math.inf if signal.lower is None else signal.lower
        upper = math.inf if signal.upper is None else signal.upper
    return Bounds(signal, lower, upper, rate, slack=margin * (upper - lower))
