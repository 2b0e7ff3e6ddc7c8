"""Puts the robot's topics together to complete, fresh, plausible measurements."""

import math
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Reading
from lerobot_robot_galaxea_r1.lateness import Lateness
from lerobot_robot_galaxea_r1.topics import POSITION, Slot, Topic
from lerobot_robot_galaxea_r1.wire import Joints, Message, numbers

# A gripper's zero is not exact; what is measured a little beyond its ends is at its end.
GRIPPER_SLACK = 0.2
NEARLY_ZERO = 1e-3
# A message stamped less than this before the last one was overtaken on its way.
_OVERTAKEN_S = 1.0
# For so long after two senders spoke in turn, neither is believed.
CONTESTED_S = 1.0
_JOINT_NUMBER = re.compile(r"joint_?(\d+)", re.IGNORECASE)


@dataclass
class _Heard:
    """The last message of a topic. `measured_s` is its arrival less what it was late.

    `contested_s` is when a sender last spoke again after another one had spoken.
    """

    message: Message | ZooError | None = None
    measured_s: float = -math.inf
    stamp_s: float = 0.0
    sender: object = None
    sender_before: object = None
    contested_s: float = -math.inf
    lateness: Lateness = field(default_factory=Lateness)


class Feedback:
    """What the topics said last.

    `heard` is called by a transport's thread, the rest by others: each message replaces the last one as a
    whole.

    Args:
        topics: Part of the robot -> topic. Their signals together are the state.
        max_age_s: How old a topic's last message may be.
        check_names: Whether names of joints that contradict their order are refused.
        zero: Signals that no topic carries and that are 0.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        topics: dict[str, Topic],
        max_age_s: float,
        *,
        check_names: bool = True,
        zero: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics, self._max_age_s, self._check_names = topics, max_age_s, check_names
        self._zero, self._clock = tuple(zero), clock
        self._by_name = {topic.name: topic for topic in topics.values()}
        self._sequence, self._oldest_s = 0, -math.inf
        self.forget()

    def forget(self) -> None:
        """Nothing was heard: a new connection."""
        self._heard = {name: _Heard() for name in self._by_name}

    def heard(self, name: str, message: Message | ZooError, arrived_s: float, sender: object = None) -> None:
        """A message of a topic came.

        Args:
            name: The topic.
            message: The message, or what is wrong with it.
            arrived_s: When, by `clock`.
            sender: Whatever tells one sender from another; None if that is not known.
        """
        heard = self._heard[name]
        if sender is not None and sender != heard.sender:
            if sender == heard.sender_before:
                heard.contested_s = arrived_s
            heard.sender_before, heard.sender, heard.stamp_s = heard.sender, sender, 0.0
        stamp_s = getattr(message, "stamp_s", 0.0)
        if 0 < heard.stamp_s - stamp_s < _OVERTAKEN_S and stamp_s:
            return
        late_s = heard.lateness(stamp_s, arrived_s, sender)
        heard.message, heard.measured_s, heard.stamp_s = message, arrived_s - late_s, stamp_s

    def unheard(self) -> list[str]:
        """Topics that said nothing yet."""
        return [name for name, heard in self._heard.items() if heard.message is None]

    def reading(self) -> Reading:
        """All signals; as old as the oldest topic.

        Raises:
            ZooError: As `part`, for the first part that is wrong.
        """
        signals = dict.fromkeys(self._zero, 0.0)
        for part in self._topics:
            signals |= self.part(part)
        oldest_s = min(heard.measured_s for heard in self._heard.values())
        if oldest_s != self._oldest_s:
            self._sequence, self._oldest_s = self._sequence + 1, oldest_s
        return Reading(signals, self._sequence, oldest_s)

    def part(self, part: str) -> dict[str, float]:
        """Signals of one part of the robot.

        Raises:
            ZooError: Nothing was heard, or not lately, or from two senders; a message with too few numbers,
                with one that is not finite, with names in another order, or of another robot. Names topic and
                joint.
        """
        topic = self._topics[part]
        heard = self._heard[topic.name]
        if heard.message is None:
            raise ZooError(
                f"{topic.name} was never heard",
                expected=f"its measurements of {_first_and_last(topic)}",
                do=f"see that the robot's driver runs: ros2 topic hz {topic.name}",
            )
        self._check_age(topic, heard)
        if self._clock() - heard.contested_s < CONTESTED_S:
            raise ZooError(
                f"two programs publish {topic.name}",
                expected="one robot",
                do="look for another robot or a recording in this DDS domain; give each robot its own",
            )
        if isinstance(heard.message, ZooError):
            raise heard.message
        if isinstance(heard.message, Joints):
            if self._check_names:
                _check_order(topic, heard.message)
            if part == "torso":
                _check_surplus(topic, heard.message)
        return _values(topic, heard.message)

    def _check_age(self, topic: Topic, heard: _Heard) -> None:
        age_s = self._clock() - heard.measured_s
        if age_s > self._max_age_s:
            raise ZooError(
                f"{topic.name} is stale",
                got=f"a measurement {age_s:.2f} s old",
                expected=f"one of the last {self._max_age_s:g} s (--robot.max_age_s)",
                do="look after the robot's driver and the network; after its clock was set, connect anew",
            )


def _values(topic: Topic, message: Message) -> dict[str, float]:
    fields = numbers(message)
    return {slot.signal: _value(topic, slot, fields.get(slot.field, ())) for slot in topic.slots}


def _value(topic: Topic, slot: Slot, values: object) -> float:
    assert isinstance(values, list | tuple)
    if slot.index >= len(values):
        names = topic.named(slot.field)
        raise ZooError(
            f"{topic.name} lacks the {slot.field} of {slot.signal}",
            got=f"{len(values)} numbers",
            expected=f"at least {len(names)}, {_first_and_last(topic, slot.field)}",
            do="choose the robot's type, --robot.type=galaxea_r1, galaxea_r1_lite or galaxea_r1_pro",
        )
    value = values[slot.index] / slot.per_unit
    if not math.isfinite(value):
        raise ZooError(
            f"{topic.name} gives no finite {slot.field} of {slot.signal}",
            got=value,
            expected="a finite number",
            do="look after the joint's encoder and driver; nothing is sent until it is back",
        )
    return _opening(topic, slot, value) if slot.per_unit != 1 else value


def _opening(topic: Topic, slot: Slot, value: float) -> float:
    """A gripper's opening from 0 to 1."""
    if not -GRIPPER_SLACK <= value <= 1 + GRIPPER_SLACK:
        raise ZooError(
            f"{topic.name} gives an impossible opening of {slot.signal}",
            got=f"{value * slot.per_unit:.4g} mm",
            expected=f"0 to {slot.per_unit:g} mm",
            do="calibrate the gripper",
        )
    return min(max(value, 0.0), 1.0)


def _check_order(topic: Topic, message: Joints) -> None:
    """Names are not relied on, but names of all joints in another order are a contradiction."""
    found = [_JOINT_NUMBER.search(name) for name in message.names]
    order = [int(match.group(1)) for match in found if match]
    joints = range(1, len(topic.named(POSITION)) + 1)
    known = [number for number in order if number in joints]
    if sorted(known) == list(joints) and known != list(joints):
        raise ZooError(
            f"{topic.name} names its joints in another order",
            got=", ".join(message.names),
            expected=_first_and_last(topic),
            do="see which joint moves which number; if the names are wrong, --robot.check_joint_names=false",
        )


def _check_surplus(topic: Topic, message: Joints) -> None:
    """The R1 Lite's torso has three joints and sends a fourth number, 0. Otherwise it is another robot."""
    names = topic.named(POSITION)
    surplus = message.position[len(names) :]
    if any(not abs(value) < NEARLY_ZERO for value in surplus):
        raise ZooError(
            f"{topic.name} measures a joint that this robot does not have",
            got=f"{surplus[0]:.4g} rad after {names[-1]}",
            expected=f"{len(names)} joints, then 0",
            do="choose the robot's type, --robot.type=galaxea_r1, galaxea_r1_lite or galaxea_r1_pro",
        )


def _first_and_last(topic: Topic, of_field: str | None = None) -> str:
    names = topic.named(of_field or topic.slots[0].field)
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
