"""The body of a Galaxea R1 Pro.

Places, axes and masses of the joints, and places and angles of the cameras: the URDF of
Rampantsen/GalaxeaManipSim (3fcaecc, Apache-2.0, Galaxea), rounded, in frames parallel to the base's. Shapes
are ours; it wakes in the pose of that simulator's tasks.
"""

from lerobot_plugins.robots.simulation.galaxea_parts import (
    CHASSIS,
    HEAD,
    PALETTE,
    fingers,
    grippers,
    home,
    motors,
    torso,
    wheels,
    wrist_eyes,
)
from lerobot_plugins.robots.simulation.links import Body, Link, X, Y, Z, block, drum, other_side, tube

_ARM = (
    Link(
        "left_arm_joint1",
        "torso_joint4",
        (0.0, 0.171, 0.303),
        Y,
        1.135,
        (drum((0.0, -0.04, 0.0), (0.0, 0.065, 0.0), 0.055),),
    ),
    Link(
        "left_arm_joint2",
        "left_arm_joint1",
        (0.0245, 0.081, 0.0),
        X,
        0.92,
        (
            drum((-0.075, 0.0, 0.0), (0.02, 0.0, 0.0), 0.05),
            tube((-0.0245, 0.0, -0.1), 0.045, "body", at=(-0.0245, 0.0, -0.03)),
        ),
    ),
    Link(
        "left_arm_joint3",
        "left_arm_joint2",
        (-0.0245, 0.0, -0.1155),
        Z,
        1.245,
        (tube((0.0, 0.0, -0.17), 0.044, "body"),),
    ),
    Link(
        "left_arm_joint4",
        "left_arm_joint3",
        (0.0, 0.035, -0.1945),
        Y,
        0.827,
        (
            drum((0.0, -0.08, 0.0), (0.0, 0.01, 0.0), 0.044),
            tube((0.0, -0.035, -0.09), 0.04, "joint", at=(0.0, -0.035, 0.0)),
        ),
    ),
    Link(
        "left_arm_joint5",
        "left_arm_joint4",
        (0.0, -0.035, -0.095),
        Z,
        0.939,
        (tube((0.0, 0.0, -0.135), 0.038, "body"),),
    ),
    Link(
        "left_arm_joint6",
        "left_arm_joint5",
        (0.0, -0.028, -0.163),
        Y,
        0.527,
        (drum((0.0, -0.008, 0.0), (0.0, 0.064, 0.0), 0.033),),
    ),
    Link(
        "left_arm_joint7",
        "left_arm_joint6",
        (0.0295, 0.028, 0.0),
        X,
        0.474,
        (
            block((-0.0295, 0.0, -0.122), (0.028, 0.05, 0.034)),
            drum((-0.0295, 0.0, 0.0), (-0.0295, 0.0, -0.09), 0.03),
            block((0.014, 0.0, -0.135), (0.012, 0.025, 0.012), "face"),
        ),
    ),
)
_HAND = fingers("left_arm_joint7", (-0.0295, 0.0, -0.1975), (0.0, 0.0, -0.045))

R1_PRO_BODY = Body(
    trunk_z=0.0,
    trunk_mass=56.6,
    trunk=(
        *CHASSIS,
        drum((-0.079, 0.0, 0.27), (-0.079, 0.0, 0.36), 0.1, "joint"),
        *wheels(((0.169, 0.28, 0.07), (0.169, -0.28, 0.07), (-0.327, 0.0, 0.07)), 0.07),
    ),
    links=(
        *torso(7.05, (-0.079, 0.0, 0.343)),
        *_ARM,
        *_HAND,
        *other_side(_ARM, axes=(1.0, 1.0, 1.0)),
        *other_side(_HAND, axes=(1.0, 1.0, 1.0), places=(1.0, 1.0, 1.0)),
    ),
    motors=motors("galaxea_r1_pro"),
    home=home((0.7, -1.4, -0.9, 0.0), (-0.4, 1.3, -0.7, -1.57, 1.3, -0.4, -0.8), mirrored=(1, 2, 4, 6)),
    eyes={
        "head": HEAD,
        **wrist_eyes("left_arm_joint7", (0.021, 0.0, -0.1556), (-0.4226, 0.0, -0.9063), up=X),
    },
    imu=(0.0, 0.0, 0.2),
    grippers=grippers(),
    palette=PALETTE,
)
