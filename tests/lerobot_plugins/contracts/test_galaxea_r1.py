"""The contracts of Galaxea's robots."""

import pytest
from robot_tables import robot_tables

from lerobot_plugins.contracts.catalog import contract
from lerobot_plugins.contracts.galaxea_r1 import HARD_LIMITS, JOINTS

ROBOTS = {"galaxea_r1": (6, 4), "galaxea_r1_lite": (6, 3), "galaxea_r1_pro": (7, 4)}


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_the_order_of_the_action_and_of_the_state(robot_type):
    arm, torso = ROBOTS[robot_type]
    robot = contract(robot_type)
    expected = [
        *(f"left_arm_joint{i + 1}.pos" for i in range(arm)),
        "left_gripper.pos",
        *(f"right_arm_joint{i + 1}.pos" for i in range(arm)),
        "right_gripper.pos",
        *(f"torso_joint{i + 1}.pos" for i in range(torso)),
        *("base_x.vel", "base_y.vel", "base_yaw.vel"),
    ]
    assert robot.action_names == expected
    assert robot.state_names[: len(expected)] == expected
    velocities = robot.state_names[len(expected) :]
    assert len(velocities) == 2 * arm + torso
    assert [name.replace(".vel", ".pos") for name in velocities] == [n for n in expected if "_joint" in n]
    assert all(signal.rate for signal in robot.action)
    assert all(signal.rate is None for signal in robot.state)


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_the_published_limits(robot_type):
    tables = robot_tables()["galaxea"]["models"][robot_type.removeprefix("galaxea_")]
    for name, joint in HARD_LIMITS[robot_type].items():
        assert joint._asdict() == {key: tables["joints"][name][key] for key in joint._fields}
    names = [*tables["left_arm"], *tables["right_arm"], *tables["torso"]]
    assert sorted(names) == sorted(HARD_LIMITS[robot_type])


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_limits_are_mirrored_and_within_the_mechanical_ones(robot_type):
    for name, joint in JOINTS[robot_type].items():
        hard = HARD_LIMITS[robot_type][name]
        assert hard.lower <= joint.lower < joint.upper <= hard.upper
        if name.startswith("left"):
            assert JOINTS[robot_type][name.replace("left", "right")] in (joint, joint.mirrored())


def test_the_narrower_of_two_descriptions_counts():
    pro = JOINTS["galaxea_r1_pro"]
    assert pro["torso_joint1"][:2] == (-1.1345, 1.812547)
    assert pro["torso_joint2"][:2] == (-2.670347, 2.5307)
    assert pro["right_arm_joint2"][:2] == (-3.106693, 0.139593)
    assert pro["left_arm_joint4"][:2] == (-1.7453, 0.314193)
    assert JOINTS["galaxea_r1_lite"]["left_arm_joint2"][:2] == (0.017453, 3.124147)


def test_grippers_are_units():
    signal = contract("galaxea_r1_lite").action_signals["right_gripper.pos"]
    assert (signal.unit, signal.lower, signal.upper) == ("unit", 0.0, 1.0)
