"""The GR-2's contract: names, orders, limits and the SDK's groups."""

import pytest
from lerobot.utils.feature_utils import hw_to_dataset_features
from robot_tables import robot_tables

from lerobot_plugins.contracts import fourier_gr2 as gr2
from lerobot_plugins.contracts.fourier_gr2 import FOURIER_GR2
from lerobot_plugins.contracts.fourier_gr2_joints import JOINTS
from lerobot_plugins.errors import ZooError


def test_state_and_action_are_what_the_recordings_have():
    names = FOURIER_GR2.action_names
    assert (len(FOURIER_GR2.state), len(names)) == (45, 37)
    arm = [
        "shoulder_pitch",
        "shoulder_roll",
        "shoulder_yaw",
        "elbow_pitch",
        "wrist_yaw",
        "wrist_pitch",
        "wrist_roll",
    ]
    assert names[:14] == [f"{side}_{part}_joint.pos" for side in ("left", "right") for part in arm]
    hand = ["pinky_proximal", "ring_proximal", "middle_proximal", "index_proximal"]
    hand += ["thumb_proximal_pitch", "thumb_proximal_yaw"]
    assert names[14:26] == [f"{side}_{part}_joint.pos" for side in "LR" for part in hand]
    assert names[28:31] == ["waist_yaw_joint.pos", "waist_roll_joint.pos", "waist_pitch_joint.pos"]
    assert names[36] == "base_base_yaw.pos"
    # The state has its hands behind head and waist, and index first.
    assert FOURIER_GR2.state_names[14:18] == [
        "head_yaw_joint.pos",
        "head_pitch_joint.pos",
        "waist_yaw_joint.pos",
        "L_index_proximal_joint.pos",
    ]
    assert FOURIER_GR2.state_names[-1] == "imu_omega_z.vel"


def test_the_published_tables():
    tables = robot_tables()["gr2"]
    assert FOURIER_GR2.action_names == tables["lerobot_action_keys"]
    assert FOURIER_GR2.state_names == tables["lerobot_state_keys"]
    assert {group: list(joints) for group, joints in gr2.SDK_GROUPS.items()} == tables["sdk_groups"]
    driven = {name: joint for name, joint in tables["joints"].items() if joint["mimic"] is None}
    assert {name: joint._asdict() for name, joint in JOINTS.items()} == {
        name: {key: joint[key] for key in ("lower", "upper", "velocity", "effort")}
        for name, joint in driven.items()
    }


def test_lerobot_keeps_every_number_in_order():
    """All names survive a rollout's filter, and LeRobot joins them in the contract's order."""
    cameras = {"camera_top": (480, 640, 3), "camera_top_depth": (480, 640, 1)}
    state = hw_to_dataset_features(
        {**dict.fromkeys(FOURIER_GR2.state_names, float), **cameras}, "observation"
    )
    action = hw_to_dataset_features(dict.fromkeys(FOURIER_GR2.action_names, float), "action")
    assert state["observation.state"]["names"] == FOURIER_GR2.state_names
    assert action["action"]["names"] == FOURIER_GR2.action_names
    assert state["observation.images.camera_top_depth"]["info"]["is_depth_map"]
    for name in (*FOURIER_GR2.state_names, *FOURIER_GR2.action_names):
        assert name.endswith((".pos", ".vel"))


def test_every_commanded_joint_is_limited_but_those_that_do_not_exist():
    for signal in FOURIER_GR2.action:
        absent = signal.name in ("waist_roll_joint.pos", "waist_pitch_joint.pos")
        assert signal.exists is not absent
        if signal.group == "base" or absent:
            assert signal.joint is None
            continue
        limits = JOINTS[signal.joint]
        assert signal.name == f"{signal.joint}.pos"
        assert signal.upper == limits.upper
        assert signal.lower == (-0.12 if "thumb_proximal_pitch" in signal.name else limits.lower)
        # The author's steps of 1/30 s, below what the motors can do (of hands the URDF does not say).
        step = {"arm": 0.06, "hand": 0.12}.get(signal.group.rpartition("_")[2], 0.08)
        assert signal.rate == pytest.approx(step * 30)
        assert limits.velocity == 0 or signal.rate < limits.velocity


def test_left_and_right_are_equal_or_mirrored():
    for name, left in JOINTS.items():
        assert left.lower < left.upper
        if name.startswith(("left_", "L_")):
            right = JOINTS[name.replace("left_", "right_").replace("L_", "R_")]
            assert right in (left, left.mirrored())
    assert JOINTS["right_shoulder_roll_joint"] == JOINTS["left_shoulder_roll_joint"].mirrored()


def test_an_action_packed_by_group_is_unpacked_again():
    joints = {signal.joint: i / 10 for i, signal in enumerate(FOURIER_GR2.action) if signal.joint}

    groups = gr2.pack(joints)

    assert {group: len(values) for group, values in groups.items()} == {
        "left_manipulator": 7,
        "right_manipulator": 7,
        "left_hand": 6,
        "right_hand": 6,
        "head": 2,
        "waist": 1,
    }
    # The action has the pinky first (14), the SDK the index (17).
    assert groups["left_hand"] == pytest.approx([1.7, 1.6, 1.5, 1.4, 1.8, 1.9])
    assert gr2.unpack(groups) == joints


def test_packing_needs_every_joint_and_no_other():
    joints = {signal.joint: 0.0 for signal in FOURIER_GR2.action if signal.joint}
    with pytest.raises(ZooError, match="left_knee_pitch_joint"):
        gr2.pack(joints | {"left_knee_pitch_joint": 0.0})
    del joints["head_yaw_joint"]
    with pytest.raises(ZooError, match="head_yaw_joint"):
        gr2.pack(joints)
    with pytest.raises(ZooError, match="waist"):
        gr2.unpack({"waist": [0.0, 0.0]})
    with pytest.raises(ZooError, match="tail"):
        gr2.unpack({"tail": []})
