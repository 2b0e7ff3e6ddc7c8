"""Fourier GR-2 as its datasets of 45 numbers of state and 37 of action record it (`v1_37`).

State and action order the hands differently (index first, pinky first), and the action has three waist
joints where the robot and the state have one. Both are as the recordings have them.

Commands change no faster than in the deployment of the datasets' author: per step of 1/30 s, 0.06 rad for
arms, 0.12 rad for hands, 0.08 rad for head and waist, 0.15 for the base; here per second.
"""

import math
from collections.abc import Mapping, Sequence

from lerobot_plugins.contracts.fourier_gr2_joints import (
    ABSENT_JOINTS,
    HEAD_JOINTS,
    JOINTS,
    SIDES,
    WAIST_JOINTS,
    arm_joints,
    hand_joints,
    leg_joints,
)
from lerobot_plugins.contracts.joints import bare, joint_signals, plain_signals
from lerobot_plugins.contracts.robot import Camera, RobotContract, Signal
from lerobot_plugins.errors import ZooError, first_names

ROBOT_TYPE = "fourier_gr2"

ARM_RATE = 1.8  # rad/s
HAND_RATE = 3.6  # rad/s
HEAD_AND_WAIST_RATE = 2.4  # rad/s
BASE_RATE = 4.5  # change of a velocity (or of base_yaw) per second

#: Groups of the Aurora SDK -> joints in the order of its vectors.
SDK_GROUPS: dict[str, tuple[str, ...]] = {
    **{f"{side}_manipulator": arm_joints(side) for side in SIDES},
    **{f"{side}_hand": hand_joints(side) for side in SIDES},
    "head": HEAD_JOINTS,
    "waist": WAIST_JOINTS,
    **{f"{side}_leg": leg_joints(side) for side in SIDES},
}
#: The groups that actions command. The legs belong to the robot's own balance.
COMMANDED_GROUPS = ("left_manipulator", "right_manipulator", "left_hand", "right_hand", "head", "waist")
SDK_HANDS = ("left_hand", "right_hand")

#: The SDK's fist holds the thumb 0.12 rad below the URDF's limit, and recordings show it there.
_LIMITS = JOINTS | {
    f"{side}_thumb_proximal_pitch_joint": JOINTS[f"{side}_thumb_proximal_pitch_joint"]._replace(lower=-0.12)
    for side in "LR"
}


def _base_action(name: str, unit: str, limit: float | None) -> Signal:
    lower = None if limit is None else -limit
    return Signal(name, unit, "base", lower=lower, upper=limit, rate=BASE_RATE, aliases=(bare(name),))


def _action() -> tuple[Signal, ...]:
    arms = [joint_signals(arm_joints(side), f"{side}_arm", _LIMITS, ARM_RATE) for side in SIDES]
    hands = [
        joint_signals(hand_joints(side, reverse_fingers=True), f"{side}_hand", _LIMITS, HAND_RATE)
        for side in SIDES
    ]
    return (
        *arms[0],
        *arms[1],
        *hands[0],
        *hands[1],
        *joint_signals(HEAD_JOINTS, "head", _LIMITS, HEAD_AND_WAIST_RATE),
        *joint_signals(WAIST_JOINTS, "waist", _LIMITS, HEAD_AND_WAIST_RATE),
        *(Signal(f"{name}.pos", "rad", "waist", exists=False, aliases=(name,)) for name in ABSENT_JOINTS),
        # Limits of the vendor's walking demonstration. Those of height and pitch are not published.
        _base_action("base_vel_x.vel", "m/s", 0.8),
        _base_action("base_vel_y.vel", "m/s", 1.0),
        _base_action("base_vel_yaw.vel", "rad/s", 1.5),
        _base_action("base_vel_height.vel", "m/s", None),
        _base_action("base_vel_pitch.vel", "rad/s", None),
        _base_action("base_base_yaw.pos", "rad", math.pi),  # an angle, though it stands among rates
    )


def _state() -> tuple[Signal, ...]:
    return (
        *joint_signals(arm_joints("left"), "left_arm", _LIMITS),
        *joint_signals(arm_joints("right"), "right_arm", _LIMITS),
        *joint_signals(HEAD_JOINTS, "head", _LIMITS),
        *joint_signals(WAIST_JOINTS, "waist", _LIMITS),
        *joint_signals(hand_joints("left"), "left_hand", _LIMITS),
        *joint_signals(hand_joints("right"), "right_hand", _LIMITS),
        *plain_signals([f"base_pos_{axis}.pos" for axis in "xyz"], "m", "base"),
        *plain_signals([f"base_quat_{part}.pos" for part in "xyzw"], "1", "base", limit=1.0),
        *plain_signals(
            [f"base_rpy_{angle}.pos" for angle in ("roll", "pitch", "yaw")], "rad", "base", math.pi
        ),
        # `.vel` is the suffix that keeps them in a rollout; they are an acceleration and an angular velocity.
        *plain_signals([f"imu_acc_{axis}.vel" for axis in "xyz"], "m/s^2", "imu"),
        *plain_signals([f"imu_omega_{axis}.vel" for axis in "xyz"], "rad/s", "imu"),
    )


FOURIER_GR2 = RobotContract(
    robot_type=ROBOT_TYPE,
    state=_state(),
    action=_action(),
    cameras=(Camera("camera_top", height=480, width=640, depth=True),),
    fps=30,
    sources=(
        "ComputerSmallFry/fmc3-robotics, convert_dora_to_lerobot.py and gr2_robot.py (f971b46)",
        "fourier-robot-descriptions 0.2.7, gr2t2v2_fourier_hand_6dof.urdf (Apache-2.0)",
        "FFTAI/fourier_aurora_sdk 1.3.0 (Apache-2.0)",
    ),
)


def pack(joints: Mapping[str, float]) -> dict[str, list[float]]:
    """Joint -> value as the SDK's vectors of the six commanded groups; units and hand space stay as they are.

    Raises:
        ZooError: A joint is missing or belongs to no commanded group.
    """
    wanted = {joint for group in COMMANDED_GROUPS for joint in SDK_GROUPS[group]}
    if wrong := wanted ^ set(joints):
        raise ZooError("joints do not fill the SDK's groups", got=f"missing or unknown: {first_names(wrong)}")
    return {group: [float(joints[joint]) for joint in SDK_GROUPS[group]] for group in COMMANDED_GROUPS}


def unpack(groups: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The inverse of `pack`, of whichever groups are given.

    Raises:
        ZooError: Unknown group, or a vector of another length.
    """
    joints: dict[str, float] = {}
    for group, values in groups.items():
        names = SDK_GROUPS.get(group, ())
        if len(names) != len(values) or not names:
            raise ZooError(
                f"group {group} does not have this many joints",
                got=len(values),
                expected=len(names) or "a group",
            )
        joints |= zip(names, map(float, values), strict=True)
    return joints
