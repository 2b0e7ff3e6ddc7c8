"""The layouts in which recordings of the GR-2 are found."""

from lerobot_plugins.contracts.fourier_gr2 import (
    COMMANDED_GROUPS,
    FOURIER_GR2,
    HEAD_JOINTS,
    ROBOT_TYPE,
    SDK_GROUPS,
)
from lerobot_plugins.contracts.fourier_gr2_joints import ARM, SIDES, hand_joints
from lerobot_plugins.contracts.hands import with_sdk_hands
from lerobot_plugins.contracts.layout import Column, Layout, columns_of, contract_layout

V1_37 = contract_layout(
    FOURIER_GR2, "v1_37", "fmc3-robotics' converter of 2026-02-13, first form; what this plugin records."
)


def _v2_35() -> Layout:
    """The same day's second form: joints in the order of the SDK's groups, no absent joints."""
    joints = [f"{joint}.pos" for group in COMMANDED_GROUPS for joint in SDK_GROUPS[group]]
    base_of_state = [name for name in FOURIER_GR2.state_names if name.startswith(("base_", "imu_"))]
    base_of_action = [name for name in FOURIER_GR2.action_names if name.startswith("base_")]
    return Layout(
        "v2_35",
        ROBOT_TYPE,
        columns_of([*joints, *base_of_state]),
        columns_of([*joints, *base_of_action]),
        "fmc3-robotics' converter of 2026-02-13, second form, in the SDK's order.",
    )


def _qnexo_37() -> Layout:
    """Head first, wrists as yaw, roll, pitch, fingers from the pinky; the action is as long as in `v1_37`.

    The converter of its family adds up `vel_height` and `vel_pitch` over an episode: they are offsets, not
    the rates of the other layouts, and are kept apart from them.
    """
    arms = [
        f"{side}_{part}_joint"
        for side in SIDES
        for part in (*ARM[:4], "wrist_yaw", "wrist_roll", "wrist_pitch")
    ]
    hands = [joint for side in SIDES for joint in hand_joints(side, reverse_fingers=True)]
    waist = ("waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint")
    joints = columns_of(f"{joint}.pos" for joint in (*HEAD_JOINTS, *waist, *arms, *hands))
    stand = (Column("base_height", "stand_height.pos"), Column("base_pitch", "stand_pitch.pos"))
    base = {
        "vel_height": "stand_height.pos",
        "vel_pitch": "stand_pitch.pos",
        "base_yaw": "base_base_yaw.pos",
        "vel_x": "base_vel_x.vel",
        "vel_y": "base_vel_y.vel",
        "vel_yaw": "base_vel_yaw.vel",
    }
    return Layout(
        "qnexo_37",
        ROBOT_TYPE,
        (*joints, *stand),
        (*joints, *(Column(name, signal) for name, signal in base.items())),
        "The 'erobot' recordings: wrists and waist in another order.",
    )


V2_35 = _v2_35()
QNEXO_37 = _qnexo_37()
LAYOUTS = (V1_37, V2_35, QNEXO_37, with_sdk_hands(V1_37), with_sdk_hands(V2_35))
