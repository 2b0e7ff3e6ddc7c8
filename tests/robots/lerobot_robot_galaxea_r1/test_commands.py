import math
from dataclasses import replace

import pytest

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1.commands import check, message, messages
from lerobot_robot_galaxea_r1.topics import CHASSIS_BRAKE, CHASSIS_LIMIT, command_topics
from lerobot_robot_galaxea_r1.wire import Flag, Joints, Speeds

ROBOTS = ("galaxea_r1", "galaxea_r1_lite", "galaxea_r1_pro")
LITE = command_topics(catalog.contract("galaxea_r1_lite"))


def targets(robot_type: str = "galaxea_r1_lite") -> dict[str, float]:
    """A different number for each signal."""
    return {name: 0.01 * (i + 1) for i, name in enumerate(catalog.contract(robot_type).action_names)}


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_each_number_goes_to_its_place(robot_type: str):
    topics, wanted = command_topics(catalog.contract(robot_type)), targets(robot_type)
    made = {topic.name.rpartition("/")[2]: made for topic, made in messages(topics.values(), wanted)}
    arm = [name for name in wanted if name.startswith("right_arm")]
    assert made["target_joint_state_arm_right"] == Joints([wanted[name] for name in arm])
    assert made["target_position_gripper_left"].position == [pytest.approx(100 * wanted["left_gripper.pos"])]
    torso = [wanted[name] for name in wanted if name.startswith("torso")]
    assert made["target_joint_state_torso"] == Joints(torso, [0.5] * len(torso))
    speed = made["target_speed_chassis"]
    assert speed.linear == [wanted["base_x.vel"], wanted["base_y.vel"], 0]
    assert speed.angular == [0, 0, wanted["base_yaw.vel"]]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    "name", ["right_arm_joint2.pos", "left_gripper.pos", "torso_joint3.pos", "base_yaw.vel"]
)
def test_a_target_that_is_not_finite_is_refused(name: str, bad: float):
    with pytest.raises(ZooError, match=rf"/motion_target/\w+: the (number for|target of) {name}"):
        messages(LITE.values(), targets() | {name: bad})


def test_a_missing_target_is_refused():
    wanted = targets()
    del wanted["left_arm_joint4.pos"]
    with pytest.raises(ZooError, match=r"(?s)target_joint_state_arm_left are missing.*left_arm_joint4\.pos"):
        messages(LITE.values(), wanted)


@pytest.mark.parametrize("opening", [40.0, -0.1, 1.001])
def test_an_opening_outside_the_stroke_is_refused(opening: float):
    with pytest.raises(ZooError, match=r"(?s)target_position_gripper_left.*outside the gripper's stroke"):
        message(LITE["left_gripper"], {"left_gripper.pos": opening})


@pytest.mark.parametrize("width", [0, 5, 7])
def test_the_last_gate_refuses_another_width(width: int):
    arm = LITE["left_arm"]
    with pytest.raises(ZooError, match=rf"(?s)arm_left takes another number of position.*{width}.*6"):
        check(arm, Joints([0.0] * width))
    check(arm, Joints([0.0] * 6, [1.0] * 6))
    with pytest.raises(ZooError, match="another number of velocity"):
        check(arm, Joints([0.0] * 6, [1.0] * 5))


def test_the_last_gate_refuses_what_is_not_finite_or_of_another_type():
    with pytest.raises(ZooError, match=r"torso: the number for velocity 1 is not finite"):
        check(LITE["torso"], Joints([0.0] * 3, [1.0, math.nan, 1.0]))
    with pytest.raises(ZooError, match="takes other messages"):
        check(CHASSIS_BRAKE, Speeds())
    with pytest.raises(ZooError, match="another number of linear"):
        check(CHASSIS_LIMIT, replace(Speeds(), linear=[1.0]))
    check(CHASSIS_BRAKE, Flag(False))
