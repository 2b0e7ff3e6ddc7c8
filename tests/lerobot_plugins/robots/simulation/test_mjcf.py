"""The MuJoCo model that a contract and a body make."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_robots import ROBOTS, physics

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.fourier_gr2_joints import JOINTS
from lerobot_plugins.contracts.robot import Camera
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.simulation.geometry import body
from lerobot_plugins.robots.simulation.mjcf import base_joints, mjcf


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_motors_bear_the_joints_names_in_the_order_of_the_action_and_their_limits(robot_type: str):
    model = physics(robot_type).model
    contract = catalog.contract(robot_type)
    expected = {}
    for signal in contract.action:
        if not signal.exists or signal.group == "base":
            continue
        if signal.unit == "unit":  # a gripper: one finger in metres, the other follows
            expected[f"{signal.group}_finger_joint1"] = (0.0, 0.05)
        else:
            expected[signal.joint] = (signal.lower, signal.upper)
    motors = [model.actuator(i) for i in range(model.nu)]
    assert [motor.name for motor in motors] == [*expected, *base_joints(body(robot_type))]
    for motor in motors[: len(expected)]:
        np.testing.assert_allclose(motor.ctrlrange, expected[motor.name], rtol=1e-5)
        np.testing.assert_allclose(model.joint(motor.name).range, expected[motor.name], rtol=1e-5)
        assert model.joint(motor.trnid[0]).name == motor.name


def test_motors_are_as_strong_as_the_robots():
    model = physics("fourier_gr2").model
    for joint in ("left_shoulder_pitch_joint", "right_wrist_roll_joint", "waist_yaw_joint"):
        assert model.actuator(joint).forcerange[1] == pytest.approx(JOINTS[joint].effort, rel=1e-5)


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_every_camera_of_the_robot_is_there(robot_type: str):
    model = physics(robot_type).model
    names = {model.camera(i).name for i in range(model.ncam)}
    assert names == {"outside", *(camera.name for camera in catalog.contract(robot_type).cameras)}


def test_a_contract_with_other_joints_than_the_body_is_refused():
    contract = catalog.contract("galaxea_r1")
    with pytest.raises(ZooError, match="only in the body: left_arm_joint1"):
        mjcf(replace(contract, action=contract.action[1:]), body("galaxea_r1"))


def test_a_camera_that_the_body_lacks_is_refused():
    contract = replace(catalog.contract("galaxea_r1"), cameras=(Camera("tail", 12, 16),))
    with pytest.raises(ZooError, match="tail"):
        mjcf(contract, body("galaxea_r1"))
