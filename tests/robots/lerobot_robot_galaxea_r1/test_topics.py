import pytest

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.robot import RobotContract, Signal
from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1.topics import (
    Slot,
    colour_topic,
    command_topics,
    depth_topic,
    feedback_topics,
)
from lerobot_robot_galaxea_r1.wire import Joints, Speeds

ROBOTS = {"galaxea_r1": (6, 4), "galaxea_r1_lite": (6, 3), "galaxea_r1_pro": (7, 4)}


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_every_signal_comes_from_one_place_and_goes_to_one(robot_type: str):
    contract = catalog.contract(robot_type)
    for topics, names in (
        (feedback_topics(contract), contract.state_names),
        (command_topics(contract), contract.action_names),
    ):
        slots = [(topic.name, slot) for topic in topics.values() for slot in topic.slots]
        assert sorted(slot.signal for _, slot in slots) == sorted(names)
        assert len({(name, slot.field, slot.index) for name, slot in slots}) == len(slots)


@pytest.mark.parametrize(("robot_type", "joints"), ROBOTS.items())
def test_joints_lie_in_their_own_order(robot_type: str, joints: tuple[int, int]):
    contract = catalog.contract(robot_type)
    feedback, commands = feedback_topics(contract), command_topics(contract)
    arm, torso = joints
    right = feedback["right_arm"]
    assert right.named("position") == [f"right_arm_joint{i + 1}.pos" for i in range(arm)]
    assert right.named("velocity") == [f"right_arm_joint{i + 1}.vel" for i in range(arm)]
    assert commands["torso"].named("position") == [f"torso_joint{i + 1}.pos" for i in range(torso)]


def test_topics_are_galaxeas():
    contract = catalog.contract("galaxea_r1_lite")
    assert {part: (topic.name, topic.kind) for part, topic in feedback_topics(contract).items()} == {
        "left_arm": ("/hdas/feedback_arm_left", Joints),
        "right_arm": ("/hdas/feedback_arm_right", Joints),
        "left_gripper": ("/hdas/feedback_gripper_left", Joints),
        "right_gripper": ("/hdas/feedback_gripper_right", Joints),
        "torso": ("/hdas/feedback_torso", Joints),
        "base": ("/motion_control/chassis_speed", Speeds),
    }
    assert {part: topic.name for part, topic in command_topics(contract).items()} == {
        "left_arm": "/motion_target/target_joint_state_arm_left",
        "right_arm": "/motion_target/target_joint_state_arm_right",
        "left_gripper": "/motion_target/target_position_gripper_left",
        "right_gripper": "/motion_target/target_position_gripper_right",
        "torso": "/motion_target/target_joint_state_torso",
        "base": "/motion_target/target_speed_chassis",
    }
    assert colour_topic("right_wrist").name == "/hdas/camera_wrist_right/color/image_raw/compressed"
    assert depth_topic("head").name == "/hdas/camera_head/depth/depth_registered"


def test_nothing_is_ever_published_to_the_drivers_own_channel():
    for robot_type in ROBOTS:
        topics = command_topics(catalog.contract(robot_type)).values()
        assert all(topic.name.startswith("/motion_target/") for topic in topics)


def test_grippers_are_in_millimetres_and_the_base_is_planar():
    commands = command_topics(catalog.contract("galaxea_r1_pro"))
    assert commands["left_gripper"].slots == (Slot("left_gripper.pos", "position", 0, 100.0),)
    assert commands["base"].slots == (
        Slot("base_x.vel", "linear", 0),
        Slot("base_y.vel", "linear", 1),
        Slot("base_yaw.vel", "angular", 2),
    )


def test_a_signal_without_a_topic_is_an_error():
    wing = RobotContract("bird", (Signal("left_wing.pos", "rad", "left_wing"),), ())
    with pytest.raises(ZooError, match=r"no topic carries left_wing\.pos"):
        feedback_topics(wing)
    with pytest.raises(ZooError, match=r"no topic carries base_up\.vel"):
        command_topics(RobotContract("bird", (), (Signal("base_up.vel", "m/s", "base"),)))
    with pytest.raises(ZooError, match=r"(?s)camera.*tail.*head or left_wrist"):
        colour_topic("tail")
