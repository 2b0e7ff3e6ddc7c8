"""The body of a Galaxea R1.

Places, axes and masses of the joints, and places and angles of the cameras: the URDF of
Rampantsen/GalaxeaManipSim (3fcaecc, Apache-2.0, Galaxea), rounded, in frames parallel to the base's. Shapes
are ours; it wakes in the pose of that simulator's tasks.
"""

from lerobot_plugins.robots.simulation.galaxea_parts import (
    CHASSIS,
    HEAD,
    PALETTE,
    UNDER,
    fingers,
    grippers,
    home,
    motors,
    torso,
    wheels,
    wrist_eyes,
)
from lerobot_plugins.robots.simulation.links import Body, Link, X, Y, Z, ball, block, drum, other_side, tube

_ARM = (
    Link(
        "left_arm_joint1",
        "torso_joint4",
        (0.0, 0.142, 0.303),
        Y,
        1.164,
        (drum((0.0, 0.0, 0.0), (0.0, 0.1, 0.0), 0.052), ball((0.0, 0.1061, 0.0), 0.05)),
    ),
    Link(
        "left_arm_joint2",
        "left_arm_joint1",
        (0.0, 0.106, 0.0),
        UNDER,
        1.3,
        (tube((-0.3493, 0.02, 0.0), 0.042, "body"), ball((-0.3493, 0.02, 0.0), 0.046)),
    ),
    Link(
        "left_arm_joint3",
        "left_arm_joint2",
        (-0.3493, 0.02, 0.0),
        UNDER,
        0.818,
        (tube((0.0274, 0.0698, 0.0), 0.042, "joint"),),
    ),
    Link(
        "left_arm_joint4",
        "left_arm_joint3",
        (0.0274, 0.0698, 0.0),
        X,
        0.698,
        (tube((0.2463, 0.0, 0.0), 0.038, "body"),),
    ),
    Link(
        "left_arm_joint5",
        "left_arm_joint4",
        (0.2463, 0.0, 0.0),
        Y,
        0.417,
        (drum((0.0, -0.038, 0.0), (0.0, 0.038, 0.0), 0.038), tube((0.0582, 0.0, 0.0), 0.032, "joint")),
    ),
    # With the gripper's housing and the camera above it.
    Link(
        "left_arm_joint6",
        "left_arm_joint5",
        (0.0582, 0.0, 0.0),
        X,
        0.816,
        (
            block((0.068, 0.0, 0.0), (0.032, 0.05, 0.028)),
            drum((0.0, 0.0, 0.0), (0.045, 0.0, 0.0), 0.03),
            block((0.078, 0.0, 0.043), (0.012, 0.025, 0.012), "face"),
        ),
    ),
)
_HAND = fingers("left_arm_joint6", (0.1408, 0.0, 0.0), (0.045, 0.0, 0.0))

R1_BODY = Body(
    trunk_z=0.055,  # so that the wheels stand on the floor
    trunk_mass=66.2,
    trunk=(
        *CHASSIS,
        drum((-0.033, 0.0, 0.24), (-0.033, 0.0, 0.32), 0.1, "joint"),
        *wheels(((0.215, 0.28, 0.029), (0.215, -0.28, 0.029), (-0.281, 0.0, 0.029)), 0.083),
    ),
    links=(
        *torso(9.45, (-0.033, 0.0, 0.301)),
        *_ARM,
        *_HAND,
        # The same arm, turned by half a turn around x at the shoulder.
        *other_side(_ARM, axes=(1.0, -1.0, -1.0)),
        *other_side(_HAND, axes=(1.0, -1.0, 1.0)),
    ),
    motors=motors("galaxea_r1"),
    home=home((0.7005, -1.4028, -0.9996, 0.0), (0.0, 1.57, -0.96, 0.0, 0.0, 0.0)),
    eyes={
        "head": HEAD,
        **wrist_eyes("left_arm_joint6", (0.0988, 0.0, 0.0505), (0.9063, 0.0, -0.4226), up=Z),
    },
    imu=(0.0, 0.0, 0.2),
    grippers=grippers(),
    palette=PALETTE,
)
