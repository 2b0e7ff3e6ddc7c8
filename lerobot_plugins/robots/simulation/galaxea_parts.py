"""What the bodies of Galaxea's robots share: chassis, torso, head, grippers, colours.

Places, axes and masses of the joints: the URDFs of Rampantsen/GalaxeaManipSim (3fcaecc, Apache-2.0, Galaxea),
rounded. Shapes, colours and fields of view are ours.
"""

from collections.abc import Mapping

from lerobot_plugins.contracts.galaxea_r1 import JOINTS, SIDES
from lerobot_plugins.robots.simulation.links import (
    TRUNK,
    Eye,
    Link,
    Motor,
    Shape,
    Vector,
    Y,
    Z,
    block,
    drum,
    tube,
)

DOWN: Vector = (0.0, -1.0, 0.0)
UNDER: Vector = (0.0, 0.0, -1.0)
STROKE = 0.05  # metres of one finger: the gripper opens twice as far
_FINGER_MOTOR = Motor(effort=50.0, speed=0.25)  # a guess
HEAD_FOVY, _WRIST_FOVY = 70.0, 58.0  # a stereo camera, a RealSense D405
PALETTE = {
    "body": (0.93, 0.93, 0.94),
    "joint": (0.16, 0.16, 0.18),
    "base": (0.27, 0.28, 0.31),
    "wheel": (0.07, 0.07, 0.08),
    "accent": (0.95, 0.5, 0.1),
    "face": (0.05, 0.05, 0.07),
}


def wheels(places: tuple[Vector, ...], radius: float) -> tuple[Shape, ...]:
    """Steered wheels with their motors above, at the places of the hubs."""
    shapes: list[Shape] = []
    for x, y, z in places:
        shapes += [
            drum((x, y - 0.03, z), (x, y + 0.03, z), radius, "wheel"),
            drum((x, y, z + 0.05), (x, y, z + 0.14), 0.045, "joint"),
        ]
    return tuple(shapes)


def fingers(wrist: str, tip: Vector, along: Vector) -> tuple[Link, ...]:
    """The left gripper's two fingers, in the frame of the last joint.

    Args:
        wrist: The last joint.
        tip: Where the closed fingers end.
        along: From a finger's root to its tip.
    """
    x, y, z = tip
    first, second = "left_gripper_finger_joint1", "left_gripper_finger_joint2"
    half: Vector = (abs(along[0]) / 2 or 0.009, 0.006, abs(along[2]) / 2 or 0.009)

    def finger(joint: str, side: float, mimics: tuple[str, float] | None = None) -> Link:
        pad = block((-along[0] / 2, -side * 0.0075, -along[2] / 2), half, "joint")
        place = (x, y + side * 0.0135, z)
        return Link(joint, wrist, place, (0.0, side, 0.0), 0.027, (pad,), slides=True, mimics=mimics)

    return finger(first, 1.0), finger(second, -1.0, mimics=(first, 1.0))


def grippers() -> dict[str, tuple[str, float]]:
    """Gripper -> the finger with the motor and its stroke."""
    return {f"{side}_gripper": (f"{side}_gripper_finger_joint1", STROKE) for side in SIDES}


def motors(robot_type: str) -> dict[str, Motor]:
    """Every joint's motor, as the robot's model file has them."""
    driven = {name: Motor(joint.effort, joint.velocity) for name, joint in JOINTS[robot_type].items()}
    return driven | {finger: _FINGER_MOTOR for finger, _ in grippers().values()}


def home(
    torso: tuple[float, ...], arm: tuple[float, ...], mirrored: tuple[int, ...] = (), opening: float = 0.8
) -> Mapping[str, float]:
    """A resting pose.

    Args:
        torso: Angles of its joints.
        arm: Angles of the left arm's.
        mirrored: Which of them, from 0, have the other sign on the right.
        opening: Of the grippers, 0 to 1.
    """
    pose = {f"torso_joint{i}": angle for i, angle in enumerate(torso, start=1)}
    for side in SIDES:
        for i, angle in enumerate(arm):
            sign = -1 if side == "right" and i in mirrored else 1
            pose[f"{side}_arm_joint{i + 1}"] = sign * angle
        pose |= {f"{side}_gripper_finger_joint{i}": opening * STROKE for i in (1, 2)}
    return pose


def wrist_eyes(link: str, xyz: Vector, forward: Vector, up: Vector) -> dict[str, Eye]:
    """The same camera on both wrists."""
    return {f"{side}_wrist": Eye(link.replace("left", side), xyz, forward, _WRIST_FOVY, up) for side in SIDES}


def torso(shoulder_mass: float, first: Vector) -> tuple[Link, ...]:
    """The torso of R1 and R1 Pro with shoulders and head.

    Args:
        shoulder_mass: What its last link weighs, kg.
        first: Place of its first joint.
    """
    return (
        Link(
            "torso_joint1",
            TRUNK,
            first,
            Y,
            5.72,
            (
                tube((0.0, 0.0, 0.36), 0.06, "body", at=(0.0, 0.0, 0.05)),
                drum((0.0, -0.085, 0.0), (0.0, 0.085, 0.0), 0.07),
            ),
        ),
        Link(
            "torso_joint2",
            "torso_joint1",
            (0.0, 0.0, 0.4),
            Y,
            3.5,
            (
                tube((0.0, 0.0, 0.26), 0.058, "body", at=(0.0, 0.0, 0.04)),
                drum((0.0, -0.085, 0.0), (0.0, 0.085, 0.0), 0.068),
            ),
        ),
        Link(
            "torso_joint3",
            "torso_joint2",
            (0.0, 0.0, 0.3),
            DOWN,
            3.4,
            (
                drum((0.0, -0.085, 0.0), (0.0, 0.085, 0.0), 0.065),
                drum((0.0, 0.0, 0.02), (0.0, 0.0, 0.1), 0.065, "body"),
            ),
        ),
        Link(
            "torso_joint4",
            "torso_joint3",
            (0.0, 0.0, 0.0996),
            Z,
            shoulder_mass,
            (
                block((-0.005, 0.0, 0.2), (0.065, 0.09, 0.19)),
                block((0.06, 0.0, 0.16), (0.004, 0.07, 0.1), "joint"),
                drum((0.0, -0.13, 0.303), (0.0, 0.13, 0.303), 0.062, "body"),
                tube((0.0, 0.0, 0.45), 0.035, "joint", at=(0.0, 0.0, 0.38)),
                block((0.008, 0.0, 0.478), (0.05, 0.1, 0.035)),
                block((0.059, 0.0, 0.476), (0.003, 0.085, 0.018), "face"),
                drum((0.06, 0.06, 0.476), (0.064, 0.06, 0.476), 0.012, "accent"),
                drum((0.06, -0.06, 0.476), (0.064, -0.06, 0.476), 0.012, "accent"),
            ),
        ),
    )


HEAD = Eye("torso_joint4", (0.075, 0.06, 0.476), (0.9397, 0.0, -0.342), HEAD_FOVY)
CHASSIS = (
    drum((-0.02, 0.0, 0.1), (-0.02, 0.0, 0.27), 0.32, "base"),
    drum((-0.02, 0.0, 0.27), (-0.02, 0.0, 0.285), 0.3, "body"),
    drum((-0.02, 0.0, 0.19), (-0.02, 0.0, 0.2), 0.322, "accent"),
)
