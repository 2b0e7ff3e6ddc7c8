"""Every command of every robot passes here: what is wrong is refused, what is too much is limited.

Refused, and nothing is sent: numbers that are not finite or no numbers, unknown names, numbers far outside
the limits, a measurement that is old, incomplete or far outside the limits. Limited, and what is sent is
returned: positions and velocities to their limits, their change per second, the way a target may be ahead of
the robot, the base unless it was enabled. A refusal leaves no trace: the next good action continues from the
last one.

No thread, no clock and no robot: time is an argument.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.robots.backend import Reading
from lerobot_plugins.robots.freshness import Freshness
from lerobot_plugins.robots.limits import Bounds, bounds_of, close_names
from lerobot_plugins.robots.numbers import as_number

# After a pause, no more is made up for than in this time.
LONGEST_STEP_S = 0.2
# The share of the speed with which the way to the first target begins.
SLOWEST = 0.05
# Smaller differences between what was asked and what is sent are rounding.
_SAME = 1e-6

LIMIT, RATE, AHEAD, START = "limit", "rate", "ahead of the robot", "slow start"
BASE_OFF, ABSENT, UNOBEYED = "the base is off", "no such joint", "not obeyed in the robot's mode"


@dataclass(frozen=True)
class Limited:
    """One command that was changed: what was asked, what was sent, and why."""

    name: str
    asked: float
    sent: float
    why: str


@dataclass(frozen=True)
class Checked:
    """A command that may be sent.

    Args:
        targets: All existing action signals, for the backend.
        sent: The whole action, in the contract's order: signals that the robot does not have are 0.
        limited: What was changed.
    """

    targets: dict[str, float]
    sent: dict[str, float]
    limited: tuple[Limited, ...]


class SafetyFilter:
    """Turns what is asked into what may be sent.

    Args:
        contract: The robot.
        limits: Other limits than the contract's.
        rates: Other rates.
        margin: How far beyond a limit a number is still clamped, as a share of the signal's range.
        enable_base: Whether the base may move.
        max_age_s: How old a measurement may be.
        ramp_s: In which time the speed grows to the full one, on the way to the first target.
        low_pass_s: Time constant of a low pass on positions; 0 is none.
        lead_s: How far a target may be ahead of the measured position: its rate times this.

    Raises:
        ZooError: As `bounds_of`.
    """

    def __init__(
        self,
        contract: RobotContract,
        *,
        limits: Mapping[str, Any] | None = None,
        rates: Mapping[str, float] | None = None,
        margin: float = 0.2,
        enable_base: bool = False,
        max_age_s: float = 0.5,
        ramp_s: float = 6.0,
        low_pass_s: float = 0.0,
        lead_s: float = 0.5,
    ) -> None:
        self.contract = contract
        self.bounds = bounds_of(contract, limits, rates, margin)
        self._known = set(contract.action_names) | set(contract.state_names)
        self._enable_base = enable_base
        self._ramp_s, self._low_pass_s, self._lead_s = ramp_s, low_pass_s, lead_s
        self._freshness = Freshness(max_age_s)
        self._last: dict[str, float] = {}
        self._last_s: float | None = None
        self._ramp_from_s: float | None = None
        self._ramping = ramp_s > 0

    def start(self) -> None:
        """Begin anew: hold first, then slowly to the first target."""
        self.rest()
        self._freshness = self._freshness.forgotten()
        self._ramp_from_s, self._ramping = None, self._ramp_s > 0

    def rest(self) -> None:
        """Forget the last target, after something else has stopped the robot: the next action holds first."""
        self._last, self._last_s = {}, None

    def check_reading(self, reading: Reading, now_s: float) -> None:
        """Refuse a measurement that is stale, incomplete or not finite.

        Raises:
            ZooError: With the signal's name.
        """
        self._freshness = self._freshness.seen(reading, now_s)
        missing = [name for name in self.contract.state_names if name not in reading.signals]
        if missing:
            raise ZooError(
                f"{self.contract.robot_type} did not measure everything",
                got=f"no {first_names(missing)}",
                expected=f"{len(self.contract.state)} signals",
            )
        for name in self.contract.state_names:
            if not math.isfinite(reading.signals[name]):
                raise ZooError(f"the measured {name} is not finite", got=reading.signals[name])

    def __call__(
        self,
        action: Mapping[str, Any],
        reading: Reading,
        now_s: float,
        unobeyed: Collection[str] = (),
    ) -> Checked:
        """Check and limit one action.

        Args:
            action: Numbers by signal: whole or in part. Positions that are missing are held, velocities that
                are missing are 0, names of measurements are ignored (`lerobot-rollout` sends those).
            reading: What the robot measured last.
            now_s: The time, on the clock of `reading.received_s`.
            unobeyed: Signals that the robot does not obey in its mode: they are where they are measured.

        Raises:
            ZooError: The action or the reading is refused; names the signal.
        """
        self.check_reading(reading, now_s)
        self._check_position(reading)
        asked = self._asked(action)
        present = self._measured_targets(reading)
        last = self._last or present
        step_s = 0.0 if self._last_s is None else min(max(now_s - self._last_s, 0.0), LONGEST_STEP_S)
        ramp_from_s = now_s if self._ramp_from_s is None else self._ramp_from_s
        speed = min(max((now_s - ramp_from_s) / self._ramp_s, SLOWEST), 1.0) if self._ramping else 1.0

        targets: dict[str, float] = {}
        limited = [
            Limited(name, asked[name], 0.0, ABSENT)
            for name in asked
            if name not in self.bounds and abs(asked[name]) > _SAME
        ]
        for name, bounds in self.bounds.items():
            wanted, why = self._wanted(bounds, asked.get(name), last[name])
            target, slowed = self._reached(bounds, last[name], wanted, step_s, speed)
            near = self._near(bounds, target, reading)
            why = AHEAD if near != target else slowed or why
            if name in unobeyed:
                near = present[name]
                why = UNOBEYED if asked.get(name, near) != near else None
            targets[name] = near
            if why and abs(asked.get(name, near) - near) > _SAME:
                limited.append(Limited(name, asked[name], near, why))

        self._last, self._last_s, self._ramp_from_s = targets, now_s, ramp_from_s
        if step_s > 0 and (speed == 1 or not any(change.why == START for change in limited)):
            self._ramping = False
        sent = {name: targets.get(name, 0.0) for name in self.contract.action_names}
        return Checked(dict(targets), sent, tuple(limited))

    def _asked(self, action: Mapping[str, Any]) -> dict[str, float]:
        """The action's numbers by name; refuses what is wrong with any of them."""
        asked = {}
        for name, value in action.items():
            if name not in self._known:
                raise ZooError(
                    f"{self.contract.robot_type} has no signal of this name",
                    got=name,
                    expected=close_names(name, self.contract.action_names),
                    do="map the policy's or dataset's names to the robot's",
                )
            if name not in self.contract.action_signals:
                continue
            asked[name] = as_number(value, name)
            bounds = self.bounds.get(name)
            if bounds and bounds.excess(asked[name]) > bounds.slack:
                raise ZooError(
                    f"{name} is asked for far outside its limits",
                    got=f"{asked[name]:.4g} {bounds.signal.unit}",
                    expected=_interval(bounds),
                    do="look for another unit (degrees, 0 to 100) or another order of the joints: "
                    "`lerobot-plugins doctor --repo-id=... --robot=" + self.contract.robot_type + "`",
                )
        return asked

    def _check_position(self, reading: Reading) -> None:
        for name, bounds in self.bounds.items():
            if bounds.signal.is_velocity or name not in reading.signals:
                continue
            if bounds.excess(reading.signals[name]) > bounds.slack:
                raise ZooError(
                    f"{name} is measured far outside its limits",
                    got=f"{reading.signals[name]:.4g} {bounds.signal.unit}",
                    expected=_interval(bounds),
                    do="if your robot's model has other limits, give them with --robot.limits",
                )

    def _measured_targets(self, reading: Reading) -> dict[str, float]:
        return {
            name: 0.0 if bounds.signal.is_velocity else float(reading.signals.get(name, 0.0))
            for name, bounds in self.bounds.items()
        }

    def _wanted(self, bounds: Bounds, asked: float | None, last: float) -> tuple[float, str | None]:
        """What would be sent to an infinitely fast robot, and why that is not what was asked."""
        still = 0.0 if bounds.signal.is_velocity else last
        if asked is None:
            return still, None
        if bounds.signal.group == "base" and not self._enable_base:
            return still, BASE_OFF if asked != still else None
        return bounds.clamp(asked), LIMIT if bounds.excess(asked) else None

    def _reached(
        self, bounds: Bounds, last: float, wanted: float, step_s: float, speed: float
    ) -> tuple[float, str | None]:
        """How far one gets towards what is wanted in this step, and why not further."""
        most = bounds.rate * step_s
        if bounds.signal.is_velocity:
            # Speeding up takes time; slowing down, to 0 at the furthest, does not.
            reached = _between(min(last, 0.0) - most, wanted, max(last, 0.0) + most)
            return reached, RATE if reached != wanted else None
        if self._low_pass_s:
            wanted = last + (1 - math.exp(-step_s / self._low_pass_s)) * (wanted - last)
        reached = _between(last - most * speed, wanted, last + most * speed)
        return reached, (START if self._ramping else RATE) if reached != wanted else None

    def _near(self, bounds: Bounds, target: float, reading: Reading) -> float:
        """The target, or how near to the measured position it must stay."""
        measured = reading.signals.get(bounds.signal.name)
        if bounds.signal.is_velocity or measured is None:
            return target
        lead = bounds.rate * self._lead_s
        return _between(measured - lead, target, measured + lead)


def _between(lower: float, value: float, upper: float) -> float:
    return min(max(value, lower), upper)


def _interval(bounds: Bounds) -> str:
    return (
        f"{bounds.lower:.4g} to {bounds.upper:.4g} {bounds.signal.unit}, "
        f"at most {bounds.slack:.3g} beyond (--robot.margin)"
    )
