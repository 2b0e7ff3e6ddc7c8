"""From targets to the messages that move a robot, and the last gate before they are sent.

Limits are checked in `lerobot_plugins.robots.safety`. What passes here is complete and finite, and has the
width that its topic takes, whoever made it.
"""

from collections.abc import Iterable, Mapping

from lerobot_plugins.contracts.galaxea_r1 import TORSO_RATE
from lerobot_plugins.errors import ZooError, first_names
from lerobot_robot_galaxea_r1.topics import POSITION, VELOCITY, Slot, Topic
from lerobot_robot_galaxea_r1.wire import Joints, Message, Speeds, first_not_finite, numbers

# A gripper's target beyond its stroke by less is a rounding error.
_ROUNDING_MM = 1e-6
_TORSO = "/motion_target/target_joint_state_torso"


def messages(topics: Iterable[Topic], targets: Mapping[str, float]) -> list[tuple[Topic, Message]]:
    """The message for each topic.

    Args:
        topics: Those that are commanded.
        targets: Value by signal, in the contract's units.

    Raises:
        ZooError: A target is missing or not finite, or a gripper's lies outside its stroke. Names topic and
            joint.
    """
    return [(topic, message(topic, targets)) for topic in topics]


def message(topic: Topic, targets: Mapping[str, float]) -> Message:
    """The message of one topic, see `messages`."""
    missing = [slot.signal for slot in topic.slots if slot.signal not in targets]
    if missing:
        raise ZooError(
            f"targets for {topic.name} are missing",
            got=f"none for {first_names(missing)}",
            expected=f"{len(topic.slots)} targets",
        )
    values = {
        (slot.field, slot.index): _on_the_wire(topic, slot, targets[slot.signal]) for slot in topic.slots
    }
    if topic.kind is Speeds:
        made: Message = Speeds(_three(values, "linear"), _three(values, "angular"))
    else:
        position = [values[POSITION, i] for i in range(len(topic.named(POSITION)))]
        # The torso's controller wants the largest speed of each joint with it; the arms' have their own.
        made = Joints(position, [TORSO_RATE] * len(position) if topic.name == _TORSO else ())
    check(topic, made)
    return made


def check(topic: Topic, made: Message) -> None:
    """The last gate.

    Raises:
        ZooError: A number that is not finite, a wrong number of numbers, or another type than the topic's.
    """
    if not isinstance(made, topic.kind):
        raise ZooError(
            f"{topic.name} takes other messages", got=type(made).__name__, expected=topic.kind.__name__
        )
    for field, values in numbers(made).items():
        names = {slot.index: slot.signal for slot in topic.slots if slot.field == field}
        wrong = first_not_finite(values)
        if wrong is not None:
            raise ZooError(
                f"{topic.name}: the number for {names.get(wrong, f'{field} {wrong}')} is not finite",
                got=values[wrong],
                expected="a finite number",
                do="nothing was sent; look for the fault in what commands the robot",
            )
        widths = _widths(topic, field)
        if len(values) not in widths:
            raise ZooError(
                f"{topic.name} takes another number of {field} values",
                got=len(values),
                expected=" or ".join(map(str, widths)),
            )


def _widths(topic: Topic, field: str) -> tuple[int, ...]:
    if topic.kind is Speeds:
        return (3,)
    joints = len(topic.named(POSITION))
    return (0, joints) if field == VELOCITY else (joints,)


def _on_the_wire(topic: Topic, slot: Slot, target: float) -> float:
    value = float(target) * slot.per_unit
    if slot.per_unit != 1 and not -_ROUNDING_MM <= value <= slot.per_unit + _ROUNDING_MM and value == value:
        raise ZooError(
            f"{topic.name}: the target of {slot.signal} lies outside the gripper's stroke",
            got=f"{float(target):.4g}",
            expected="0 closed to 1 open",
            do="nothing was sent; look for another unit, `lerobot-plugins doctor --repo-id=...`",
        )
    return value


def _three(values: Mapping[tuple[str, int], float], field: str) -> list[float]:
    return [values.get((field, i), 0.0) for i in range(3)]
