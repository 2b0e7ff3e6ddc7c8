"""The body of a Fourier GR-2 with hands of six degrees of freedom.

Places, axes and masses of the joints: `gr2t2v2_fourier_hand_6dof.urdf` of fourier-robot-descriptions 0.2.7
(Apache-2.0, Fourier), rounded, in frames parallel to the base's. Shapes, colours, camera angle and the
resting pose are ours. The legs are one piece with the floor: they stand, and the trunk moves over them.
"""

from lerobot_plugins.contracts.fourier_gr2_joints import FINGERS, JOINTS
from lerobot_plugins.robots.simulation.links import (
    TRUNK,
    Body,
    Eye,
    Link,
    Motor,
    Shape,
    Vector,
    X,
    Y,
    Z,
    ball,
    block,
    drum,
    egg,
    other_side,
    tube,
)

# The forearm's frame is tilted: at elbow 0 it hangs 22.5 degrees forward.
_ALONG: Vector = (-0.3827, 0.0, 0.9239)
_ACROSS: Vector = (0.9239, 0.0, 0.3827)
_FINGER_MOTOR = Motor(effort=1.0, speed=8.0)  # a guess: the model file says nothing

_TRUNK_LINKS = (
    Link(
        "waist_yaw_joint",
        TRUNK,
        (0.0, 0.0, -0.016),
        Z,
        14.73,
        (
            egg((-0.005, 0.0, 0.32), (0.105, 0.165, 0.17)),
            egg((-0.005, 0.0, 0.15), (0.085, 0.115, 0.14), "joint"),
            tube((0.0, 0.14, 0.397), 0.06, "body", at=(0.0, -0.14, 0.397)),
            tube((0.001, 0.0, 0.53), 0.038, "joint", at=(0.001, 0.0, 0.45)),
            drum((0.095, 0.0, 0.36), (0.105, 0.0, 0.36), 0.03, "light"),
        ),
    ),
    Link("head_yaw_joint", "waist_yaw_joint", (0.001, 0.0, 0.507), Z, 0.14, (ball((0.0, 0.0, 0.02), 0.038),)),
    Link(
        "head_pitch_joint",
        "head_yaw_joint",
        (0.0, 0.0, 0.044),
        Y,
        1.61,
        (
            egg((0.015, 0.0, 0.085), (0.09, 0.075, 0.115)),
            egg((0.04, 0.0, 0.095), (0.071, 0.062, 0.08), "face"),
            drum((0.0, -0.08, 0.08), (0.0, 0.08, 0.08), 0.03),
        ),
    ),
)

_ARM = (
    Link(
        "left_shoulder_pitch_joint",
        "waist_yaw_joint",
        (0.0, 0.151, 0.397),
        Y,
        1.343,
        (drum((0.0, 0.0, 0.0), (0.0, 0.07, 0.0), 0.055),),
    ),
    Link(
        "left_shoulder_roll_joint",
        "left_shoulder_pitch_joint",
        (0.0, 0.079, 0.0),
        X,
        0.961,
        (tube((0.0, 0.0, -0.06), 0.056, "body"),),
    ),
    Link(
        "left_shoulder_yaw_joint",
        "left_shoulder_roll_joint",
        (0.0, 0.0, -0.094),
        Z,
        1.318,
        (tube((0.0, 0.0, -0.13), 0.048, "body"),),
    ),
    Link(
        "left_elbow_pitch_joint",
        "left_shoulder_yaw_joint",
        (0.0, 0.0, -0.161),
        Y,
        0.458,
        (drum((0.0, -0.045, 0.0), (0.0, 0.045, 0.0), 0.046), tube((0.0224, 0.0, -0.0541), 0.036, "joint")),
    ),
    Link(
        "left_wrist_yaw_joint",
        "left_elbow_pitch_joint",
        (0.0224, 0.0, -0.0541),
        _ALONG,
        1.085,
        (tube((0.0538, 0.0, -0.13), 0.042, "body"),),
    ),
    Link(
        "left_wrist_pitch_joint",
        "left_wrist_yaw_joint",
        (0.0616, 0.0, -0.1488),
        Y,
        0.457,
        (drum((0.0, -0.035, 0.0), (0.0, 0.035, 0.0), 0.026),),
    ),
    # With the palm, which the hand's fingers hang on.
    Link(
        "left_wrist_roll_joint",
        "left_wrist_pitch_joint",
        (0.0, 0.0, 0.0),
        _ACROSS,
        0.502,
        (
            tube((0.0172, 0.0, -0.0416), 0.026, "joint"),
            tube((0.054, -0.006, -0.106), 0.02, "hand", at=(0.037, -0.006, -0.065)),
            tube((0.066, -0.008, -0.106), 0.016, "hand", at=(0.049, -0.006, -0.062)),
            tube((0.036, -0.008, -0.121), 0.016, "hand", at=(0.023, -0.006, -0.073)),
        ),
    ),
)

# Finger -> place of its first joint in the wrist's frame, axis, place of the second joint, tip.
_FINGERS: dict[str, tuple[Vector, Vector, Vector, Vector]] = {
    "index": (
        (0.078, -0.0123, -0.1182),
        (0.9026, 0.0, 0.4305),
        (0.0136, -0.0054, -0.0285),
        (0.0168, -0.0021, -0.0352),
    ),
    "middle": (
        (0.0618, -0.0123, -0.127),
        (0.9239, 0.0, 0.3826),
        (0.0121, -0.0055, -0.0291),
        (0.018, -0.0023, -0.0434),
    ),
    "ring": (
        (0.0445, -0.0123, -0.1341),
        (0.9427, 0.0, 0.3337),
        (0.0108, -0.0055, -0.0296),
        (0.0128, -0.0016, -0.0363),
    ),
    "pinky": (
        (0.0271, -0.0123, -0.1393),
        (0.9588, 0.0, 0.2839),
        (0.009, -0.0055, -0.0302),
        (0.0094, -0.0019, -0.0316),
    ),
}


def _finger(name: str) -> tuple[Link, ...]:
    """A finger: the joint with the motor, and the one that follows it."""
    place, axis, second, tip = _FINGERS[name]
    first = f"L_{name}_proximal_joint"
    follower = f"L_{name}_intermediate_joint"
    return (
        Link(first, "left_wrist_roll_joint", place, axis, 0.011, (tube(second, 0.0085, "hand"),)),
        Link(
            follower,
            first,
            second,
            axis,
            0.003,
            (tube(tip, 0.0075, "joint"),),
            mimics=(first, 0.975),
        ),
    )


_THUMB = (
    Link(
        "L_thumb_proximal_yaw_joint",
        "left_wrist_roll_joint",
        (0.0463, -0.0155, -0.0544),
        _ALONG,
        0.0084,
        (tube((0.0201, -0.0002, 0.0083), 0.012, "hand"),),
    ),
    Link(
        "L_thumb_proximal_pitch_joint",
        "L_thumb_proximal_yaw_joint",
        (0.0201, -0.0002, 0.0083),
        Y,
        0.0608,
        (tube((0.0597, -0.0003, 0.0167), 0.0105, "hand"),),
    ),
    Link(
        "L_thumb_distal_joint",
        "L_thumb_proximal_pitch_joint",
        (0.0597, -0.0003, 0.0167),
        Y,
        0.018,
        (tube((0.0271, -0.0002, 0.0141), 0.009, "joint"),),
        mimics=("L_thumb_proximal_pitch_joint", 1.06),
    ),
)
_HAND = (*(link for name in FINGERS for link in _finger(name)), *_THUMB)

_STANDING = 0.994  # height of the pelvis over the floor with straight legs


def _legs() -> tuple[Shape, ...]:
    """Both legs, straight; in the frame of the floor under the pelvis."""
    shapes: list[Shape] = []
    for side in (1, -1):
        y, hip, knee, ankle = side * 0.14, _STANDING - 0.195, _STANDING - 0.538, _STANDING - 0.944 + 0.05
        shapes += [
            tube((0.0, side * 0.14, hip), 0.07, "joint", at=(-0.03, side * 0.08, hip + 0.07)),
            tube((0.0, y, knee + 0.05), 0.068, "body", at=(0.0, y, hip - 0.02)),
            drum((0.0, y - 0.055, knee), (0.0, y + 0.055, knee), 0.062),
            tube((0.0, y, ankle + 0.03), 0.05, "body", at=(0.0, y, knee - 0.03)),
            ball((0.0, y, ankle + 0.01), 0.04),
            block((0.04, y, 0.025), (0.125, 0.05, 0.025), "joint"),
        ]
    return tuple(shapes)


def _home() -> dict[str, float]:
    """Forearms forward over the table, palms inwards, the head looking down at it."""
    pose = {"head_pitch_joint": 0.45}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        pose |= {
            f"{side}_shoulder_pitch_joint": -0.35,
            f"{side}_shoulder_roll_joint": sign * 0.12,
            f"{side}_elbow_pitch_joint": -0.85,
        }
    for hand in "LR":
        pose |= {f"{hand}_{finger}_proximal_joint": -0.25 for finger in FINGERS}
        pose |= {f"{hand}_thumb_proximal_yaw_joint": -0.4}
    return pose


GR2_BODY = Body(
    trunk_z=_STANDING,
    trunk_mass=6.66,
    trunk=(
        egg((0.0, 0.0, -0.03), (0.1, 0.135, 0.09)),
        drum((0.0, 0.0, 0.0), (0.0, 0.0, 0.08), 0.075),
        drum((0.0, -0.09, -0.1), (0.0, 0.09, -0.1), 0.065),
    ),
    ground=_legs(),
    ground_mass=27.9,
    links=(
        *_TRUNK_LINKS,
        *_ARM,
        *_HAND,
        *other_side(_ARM, axes=(1.0, 1.0, 1.0)),
        *other_side(_HAND, axes=(-1.0, 1.0, -1.0)),
    ),
    motors={
        name: Motor(joint.effort, joint.velocity) if joint.effort else _FINGER_MOTOR
        for name, joint in JOINTS.items()
    },
    home=_home(),
    # The place of the camera's mount; its lens is not described, this is an Orbbec Gemini's.
    eyes={"camera_top": Eye("head_pitch_joint", (0.113, 0.0, 0.098), X, fovy=65.0)},
    imu=(-0.059, 0.0, -0.068),
    rises=((-0.25, 0.1), (-0.5, 0.9)),
    palette={
        "body": (0.87, 0.87, 0.88),
        "joint": (0.2, 0.21, 0.23),
        "hand": (0.32, 0.33, 0.36),
        "face": (0.05, 0.06, 0.08),
        "light": (0.1, 0.65, 0.95),
    },
    table_xz=(0.8, 0.88),
)
