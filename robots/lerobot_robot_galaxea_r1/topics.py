"""Which topic and which index each signal of a Galaxea robot comes from and goes to.

Source: Galaxea's published descriptions of the interfaces of R1, R1 Lite and R1 Pro (ROS 2 Humble). Topics in
`/motion_control` are the drivers' own channel: nothing is ever published there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lerobot_plugins.contracts.galaxea_r1 import BASE_NAMES, GRIPPER_STROKE_MM, SIDES
from lerobot_plugins.contracts.robot import RobotContract, Signal
from lerobot_plugins.errors import ZooError, first_names
from lerobot_robot_galaxea_r1.wire import Compressed, Flag, Joints, Message, Pixels, Speeds

POSITION, VELOCITY, LINEAR, ANGULAR = "position", "velocity", "linear", "angular"
_BASE_SLOTS = dict(zip(BASE_NAMES, ((LINEAR, 0), (LINEAR, 1), (ANGULAR, 2)), strict=True))


@dataclass(frozen=True)
class Slot:
    """Where in a topic's message one signal lies.

    Args:
        signal: Its name in the contract.
        field: Which numbers of the message.
        index: Which of them.
        per_unit: Number on the wire for 1 in the contract's unit.
    """

    signal: str
    field: str
    index: int
    per_unit: float = 1.0


@dataclass(frozen=True)
class Topic:
    """A topic, the type of its messages, and the signals in them."""

    name: str
    kind: type[Message]
    slots: tuple[Slot, ...] = ()

    def named(self, field: str) -> list[str]:
        """Signals of one field of the message, by index."""
        return [
            slot.signal for slot in sorted(self.slots, key=lambda slot: slot.index) if slot.field == field
        ]


CHASSIS_SPEED = Topic(
    "/motion_target/target_speed_chassis",
    Speeds,
    tuple(Slot(name, *slot) for name, slot in _BASE_SLOTS.items()),
)
CHASSIS_LIMIT = Topic("/motion_target/chassis_acc_limit", Speeds)
CHASSIS_BRAKE = Topic("/motion_target/brake_mode", Flag)
MEASURED_CHASSIS_SPEED = "/motion_control/chassis_speed"

_FEEDBACK = {
    **{f"{side}_arm": f"/hdas/feedback_arm_{side}" for side in SIDES},
    **{f"{side}_gripper": f"/hdas/feedback_gripper_{side}" for side in SIDES},
    "torso": "/hdas/feedback_torso",
    "base": MEASURED_CHASSIS_SPEED,
}
_COMMANDS = {
    **{f"{side}_arm": f"/motion_target/target_joint_state_arm_{side}" for side in SIDES},
    **{f"{side}_gripper": f"/motion_target/target_position_gripper_{side}" for side in SIDES},
    "torso": "/motion_target/target_joint_state_torso",
    "base": CHASSIS_SPEED.name,
}
_COLOUR = {
    "head": "/hdas/camera_head/left_raw/image_raw_color/compressed",
    **{f"{side}_wrist": f"/hdas/camera_wrist_{side}/color/image_raw/compressed" for side in SIDES},
}
_DEPTH = {
    "head": "/hdas/camera_head/depth/depth_registered",
    **{f"{side}_wrist": f"/hdas/camera_wrist_{side}/aligned_depth_to_color/image_raw" for side in SIDES},
}


def feedback_topics(contract: RobotContract) -> dict[str, Topic]:
    """Part of the robot -> the topic that measures it; together all signals of the state.

    Raises:
        ZooError: A signal that no topic carries.
    """
    return _topics(contract, contract.state, _FEEDBACK)


def command_topics(contract: RobotContract) -> dict[str, Topic]:
    """Part of the robot -> the topic that moves it; together all signals of the action.

    Raises:
        ZooError: A signal that no topic carries.
    """
    return _topics(contract, contract.action, _COMMANDS)


def colour_topic(camera: str) -> Topic:
    """The topic of a camera's pictures, JPEG.

    Raises:
        ZooError: No such camera.
    """
    return Topic(_of_camera(_COLOUR, camera), Compressed)


def depth_topic(camera: str) -> Topic:
    """The topic of a camera's depth, 16 bits in mm.

    Raises:
        ZooError: No such camera.
    """
    return Topic(_of_camera(_DEPTH, camera), Pixels)


def _topics(contract: RobotContract, signals: Iterable[Signal], names: dict[str, str]) -> dict[str, Topic]:
    slots: dict[str, list[Slot]] = {}
    for signal in signals:
        if not signal.exists:
            continue
        place = _PLACES.get(signal.group)
        if place is None:
            raise ZooError(
                f"{contract.robot_type}: no topic carries {signal.name}",
                got=f"group {signal.group}",
                expected=first_names(_PLACES),
            )
        of_part = slots.setdefault(signal.group, [])
        of_part.append(place(signal, of_part))
    return {
        part: Topic(names[part], Speeds if part == "base" else Joints, tuple(of_part))
        for part, of_part in slots.items()
    }


def _joint(signal: Signal, before: list[Slot]) -> Slot:
    """Joints lie on the wire in the contract's order, positions and velocities apart."""
    field = VELOCITY if signal.is_velocity else POSITION
    return Slot(signal.name, field, sum(slot.field == field for slot in before))


def _gripper(signal: Signal, before: list[Slot]) -> Slot:
    return Slot(signal.name, POSITION, len(before), GRIPPER_STROKE_MM)


def _base(signal: Signal, before: list[Slot]) -> Slot:
    if signal.name not in _BASE_SLOTS:
        raise ZooError(f"no topic carries {signal.name}", expected=first_names(_BASE_SLOTS))
    return Slot(signal.name, *_BASE_SLOTS[signal.name])


_PLACES: dict[str, Callable[[Signal, list[Slot]], Slot]] = {
    **{f"{side}_arm": _joint for side in SIDES},
    **{f"{side}_gripper": _gripper for side in SIDES},
    "torso": _joint,
    "base": _base,
}


def _of_camera(topics: dict[str, str], camera: str) -> str:
    if camera not in topics:
        raise ZooError("no topic shows this camera", got=camera, expected=" or ".join(topics))
    return topics[camera]
