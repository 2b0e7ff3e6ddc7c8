"""The body of a Galaxea R1 Lite.

Places, axes and masses of the joints, and places and angles of the cameras: the URDF of
Rampantsen/GalaxeaManipSim (3fcaecc, Apache-2.0, Galaxea), rounded, in frames parallel to the base's. Shapes
are ours; it wakes in the pose of that simulator's tasks.
"""

from lerobot_plugins.robots.simulation.galaxea_parts import (
    DOWN,
    HEAD_FOVY,
    PALETTE,
    fingers,
    grippers,
    home,
    motors,
    wheels,
    wrist_eyes,
)
from lerobot_plugins.robots.simulation.links import (
    TRUNK,
    Body,
    Eye,
    Link,
    X,
    Y,
    Z,
    block,
    drum,
    other_side,
    tube,
)

_TORSO = (
    Link(
        "torso_joint1",
        TRUNK,
        (0.092, 0.0, 0.1487),
        Y,
        4.807,
        (
            tube((0.0, 0.0, 0.31), 0.055, "body", at=(0.0, 0.0, 0.05)),
            drum((0.0, -0.08, 0.0), (0.0, 0.08, 0.0), 0.065),
        ),
    ),
    Link(
        "torso_joint2",
        "torso_joint1",
        (0.0, 0.0, 0.35),
        Y,
        2.779,
        (
            tube((0.0, 0.0, 0.31), 0.052, "body", at=(0.0, 0.0, 0.04)),
            drum((0.0, -0.08, 0.0), (0.0, 0.08, 0.0), 0.062),
        ),
    ),
    Link(
        "torso_joint3",
        "torso_joint2",
        (0.0, 0.0, 0.35),
        DOWN,
        7.4,
        (
            block((-0.05, 0.0, 0.09), (0.06, 0.12, 0.09)),
            drum((0.0, -0.08, 0.0), (0.0, 0.08, 0.0), 0.06),
            drum((-0.02, -0.36, 0.1), (-0.02, 0.36, 0.1), 0.035, "body"),
            tube((-0.05, 0.0, 0.58), 0.03, "joint", at=(-0.05, 0.0, 0.18)),
            block((-0.005, 0.0, 0.635), (0.045, 0.07, 0.03)),
            block((0.041, 0.0, 0.635), (0.003, 0.06, 0.02), "face"),
            drum((0.042, 0.0325, 0.635), (0.047, 0.0325, 0.635), 0.012, "accent"),
            drum((0.042, -0.0325, 0.635), (0.047, -0.0325, 0.635), 0.012, "accent"),
        ),
    ),
)
_ARM = (
    Link(
        "left_arm_joint1",
        "torso_joint3",
        (0.0, 0.335, 0.209),
        Z,
        0.839,
        (
            drum((0.0, 0.0, -0.08), (0.0, 0.0, 0.03), 0.042),
            block((0.0, 0.0, 0.05), (0.035, 0.035, 0.035), "joint"),
        ),
    ),
    Link(
        "left_arm_joint2",
        "left_arm_joint1",
        (0.0, 0.031, 0.049),
        Y,
        1.09,
        (
            tube((-0.3, -0.03, 0.0), 0.036, "body", at=(0.0, -0.03, 0.0)),
            drum((0.0, -0.065, 0.0), (0.0, 0.01, 0.0), 0.044),
        ),
    ),
    Link(
        "left_arm_joint3",
        "left_arm_joint2",
        (-0.3, 0.0, 0.0),
        Y,
        0.739,
        (
            tube((0.165, -0.03, 0.0755), 0.034, "body", at=(0.02, -0.03, 0.05)),
            drum((0.0, -0.065, 0.0), (0.0, 0.01, 0.0), 0.042),
        ),
    ),
    Link(
        "left_arm_joint4",
        "left_arm_joint3",
        (0.1747, 0.0005, 0.0755),
        Y,
        0.419,
        (
            tube((0.075, -0.031, 0.0405), 0.03, "joint", at=(0.01, -0.03, 0.02)),
            drum((0.0, -0.06, 0.0), (0.0, 0.005, 0.0), 0.036),
        ),
    ),
    Link(
        "left_arm_joint5",
        "left_arm_joint4",
        (0.08, -0.0315, 0.0405),
        Z,
        0.054,
        (drum((0.0, 0.0, -0.065), (0.0, 0.0, 0.0), 0.026),),
    ),
    Link(
        "left_arm_joint6",
        "left_arm_joint5",
        (0.0225, 0.0, -0.0405),
        X,
        0.735,
        (
            block((0.046, 0.0, 0.0), (0.03, 0.05, 0.026)),
            drum((0.0, 0.0, 0.0), (0.03, 0.0, 0.0), 0.026),
            tube((0.045, 0.0, 0.072), 0.008, "joint", at=(0.04, 0.0, 0.02)),
            block((0.045, 0.0, 0.073), (0.012, 0.025, 0.012), "face"),
        ),
    ),
)
_HAND = fingers("left_arm_joint6", (0.1185, 0.0, 0.0), (0.045, 0.0, 0.0))
# The arm is not mirrored: only the shoulder lies on the other side, and the fingers swap places.
_RIGHT = (
    *other_side(_ARM[:1], axes=(1.0, 1.0, 1.0)),
    *other_side(_ARM[1:], axes=(1.0, 1.0, 1.0), places=(1.0, 1.0, 1.0)),
    *other_side(_HAND, axes=(1.0, 1.0, 1.0), places=(1.0, 1.0, 1.0)),
)

R1_LITE_BODY = Body(
    trunk_z=0.0,
    trunk_mass=34.1,
    trunk=(
        drum((0.0, 0.0, 0.09), (0.0, 0.0, 0.2), 0.28, "base"),
        drum((0.0, 0.0, 0.2), (0.0, 0.0, 0.212), 0.26, "body"),
        drum((0.0, 0.0, 0.14), (0.0, 0.0, 0.15), 0.282, "accent"),
        *wheels(((0.292, 0.0, 0.07), (-0.168, 0.24, 0.07), (-0.168, -0.24, 0.07)), 0.07),
    ),
    links=(*_TORSO, *_ARM, *_HAND, *_RIGHT),
    motors=motors("galaxea_r1_lite"),
    home=home((-0.77, 1.57, 0.8), (0.0, 1.57, -0.96, 0.0, 0.0, 0.0)),
    eyes={
        # The lens is in front of the head's housing, where the URDF has it inside.
        "head": Eye("torso_joint3", (0.06, 0.0325, 0.632), (0.866, 0.0, -0.5), HEAD_FOVY),
        **wrist_eyes("left_arm_joint6", (0.0625, 0.0, 0.0748), (0.7666, 0.0, -0.6421), up=Z),
    },
    imu=(0.0, 0.0, 0.15),
    grippers=grippers(),
    palette=PALETTE,
    table_xz=(0.8, 0.75),
)
