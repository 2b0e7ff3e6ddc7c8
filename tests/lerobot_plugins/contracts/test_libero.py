"""LIBERO's conventions: signs of grippers, angles beyond pi, scales."""

import numpy as np
import pytest
import torch
from lerobot.processor.env_processor import LiberoProcessorStep
from robot_tables import robot_tables

from lerobot_plugins.contracts import libero
from lerobot_plugins.contracts.conversion import conversion
from lerobot_plugins.errors import ZooError

LAYOUTS = {layout.name: layout for layout in libero.LAYOUTS}


def quaternions(count: int = 2000) -> np.ndarray:
    """Random rotations, half of them with w < 0."""
    raw = np.random.default_rng(0).normal(size=(count, 4))
    return raw / np.linalg.norm(raw, axis=-1, keepdims=True)


def test_the_gripper_chain_returns_where_it_began():
    raw = np.array([-1.0, 1.0])
    training = libero.gripper_to_training(raw)
    assert training.tolist() == [1, 0]
    assert libero.gripper_to_raw(training).tolist() == [-1, 1]
    assert libero.gripper_to_raw(libero.gripper_to_training(torch.tensor(raw))).tolist() == [-1, 1]


@pytest.mark.parametrize(("name", "open_", "close"), [("openvla_gripper", 1, 0), ("calvin_gripper", 1, -1)])
def test_other_signs_of_the_gripper_are_layouts(name, open_, close):
    action = np.full((2, 7), 0.5)
    action[:, 6] = open_, close
    converted = conversion(LAYOUTS[name], libero.RAW, "action")(action)
    assert converted[:, 6].tolist() == [-1, 1]
    assert (converted[:, :6] == 0.5).all()


def test_the_controllers_scale():
    action = conversion(LAYOUTS["metric"], libero.RAW, "action")
    step = np.array([0.05, -0.05, 0.025, 0.5, -0.5, 0.25, -1])
    np.testing.assert_allclose(action(step), [1, -1, 0.5, 1, -1, 0.5, -1])
    np.testing.assert_allclose(action.inverse()(action(step)), step)


def test_axis_angles_are_scipys_where_w_is_positive_and_beyond_pi_elsewhere():
    rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    quaternion = quaternions()
    ours, theirs = libero.axis_angle(quaternion), rotation.from_quat(quaternion).as_rotvec()
    positive = quaternion[:, 3] >= 0
    np.testing.assert_allclose(ours[positive], theirs[positive], atol=1e-12)
    angle, other = np.linalg.norm(ours[~positive], axis=-1), np.linalg.norm(theirs[~positive], axis=-1)
    np.testing.assert_allclose(angle + other, 2 * np.pi, atol=1e-12)
    opposite = ours[~positive] / angle[:, None] + theirs[~positive] / other[:, None]
    np.testing.assert_allclose(opposite, 0, atol=1e-9)


def test_axis_angles_are_lerobots():
    quaternion = torch.tensor(quaternions(), dtype=torch.float32)
    quaternion[0] = torch.tensor([0, 0, 0, 1.0])
    expected = LiberoProcessorStep()._quat2axisangle(quaternion)
    torch.testing.assert_close(libero.axis_angle(quaternion), expected, atol=1e-6, rtol=1e-5)
    ours = libero.axis_angle(quaternion.numpy())
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-6, rtol=1e-5)
    assert (ours[0] == 0).all()
    with pytest.raises(ZooError, match="x, y, z, w"):
        libero.axis_angle(np.zeros(3))


def test_turning_a_picture_twice_leaves_it():
    picture = np.random.default_rng(0).integers(0, 255, (2, 4, 6, 3))
    assert (libero.turned(libero.turned(picture)) == picture).all()
    assert (libero.turned(picture)[:, 0, 0] == picture[:, -1, -1]).all()
    assert (libero.turned(torch.tensor(picture)).numpy() == libero.turned(picture)).all()


def test_the_published_tables():
    tables = robot_tables()["libero"]
    assert [signal.name.removesuffix(".pos") for signal in libero.LIBERO_FRANKA.action] == tables["action"]
    assert [signal.name.removesuffix(".pos") for signal in libero.LIBERO_FRANKA.state] == tables["state"]
    joints = list(libero.PANDA_JOINTS.values())
    assert [[joint.lower, joint.upper] for joint in joints] == tables["panda_joint_limits"]
    assert [joint.velocity for joint in joints] == tables["panda_vel"]
    assert list(libero.OSC_SCALE) == tables["osc_out"]
    assert tables["suites"] == libero.MAX_STEPS
