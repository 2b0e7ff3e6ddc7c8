"""The bodies' tables, against the vendors' model files."""

import numpy as np
import pytest
from simulated_robots import ROBOTS, mujoco, physics

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.simulation.geometry import body
from lerobot_plugins.robots.simulation.links import TRUNK
from lerobot_plugins.robots.simulation.mjcf import commanded_joints

# Where MuJoCo puts joints when it loads the URDF files that the bodies' docstrings name and each joint is at
# `angle`: metres from the base.
PLACES_IN_URDF = {
    "fourier_gr2": {
        "head_pitch_joint": (0.0007, 0.0007, 0.5357),
        "left_wrist_roll_joint": (-0.3759, 0.2886, 0.0977),
        "right_wrist_roll_joint": (0.6147, -0.1727, 0.3562),
        "L_index_intermediate_joint": (-0.3541, 0.4364, 0.0511),
        "R_thumb_distal_joint": (0.7385, -0.2049, 0.4208),
    },
    "galaxea_r1": {
        "torso_joint4": (0.0651, 0.0, 0.9283),
        "left_arm_joint6": (0.3799, 0.1529, 1.5182),
        "right_arm_joint6": (-0.2138, -0.3919, 0.4274),
        "right_gripper_finger_joint1": (-0.0950, -0.3638, 0.3561),
    },
    "galaxea_r1_lite": {
        "torso_joint3": (-0.3432, -0.0015, 0.5638),
        "left_arm_joint6": (-1.0166, 0.3755, 0.4213),
        "right_arm_joint6": (-0.9879, -0.6868, 0.5536),
        "right_gripper_finger_joint1": (-0.9758, -0.8049, 0.5418),
    },
    "galaxea_r1_pro": {
        "torso_joint4": (0.0393, 0.0, 0.9849),
        "left_arm_joint7": (0.3537, 0.0159, 1.6704),
        "right_arm_joint7": (-0.7259, -0.3019, 0.9299),
        "left_gripper_finger_joint1": (0.4388, 0.0857, 1.8376),
    },
}
MASS_KG = {"fourier_gr2": 63, "galaxea_r1": 102, "galaxea_r1_lite": 57, "galaxea_r1_pro": 91}


def angle(limits: tuple[float, float], i: int) -> float:
    """Well inside the limits, elsewhere for odd joints than for even ones."""
    lower, upper = limits
    return lower + (upper - lower) * (0.3 if i % 2 else 0.65)


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_joints_lie_where_the_vendors_model_has_them(robot_type: str):
    model, data = physics(robot_type).model, physics(robot_type).data
    limits = commanded_joints(catalog.contract(robot_type), body(robot_type))
    for i, (joint, span) in enumerate(limits.items()):
        data.joint(joint).qpos[0] = angle(span, i)
    for link in body(robot_type).links:
        if link.mimics:
            data.joint(link.joint).qpos[0] = link.mimics[1] * data.joint(link.mimics[0]).qpos[0]
    mujoco.mj_kinematics(model, data)
    for joint, place in PLACES_IN_URDF[robot_type].items():
        np.testing.assert_allclose(
            data.joint(joint).xanchor - data.body(TRUNK).xpos, place, atol=0.0025, err_msg=joint
        )


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_the_resting_pose_is_within_the_limits(robot_type: str):
    limits = commanded_joints(catalog.contract(robot_type), body(robot_type))
    home = body(robot_type).home
    assert set(home) <= {link.joint for link in body(robot_type).links}
    for joint, (lower, upper) in limits.items():
        assert lower <= home.get(joint, 0.0) <= upper, joint


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_the_whole_weighs_what_the_robot_weighs(robot_type: str):
    assert physics(robot_type).model.body_mass.sum() == pytest.approx(MASS_KG[robot_type], rel=0.05)


def test_a_robot_without_a_body_is_refused_with_the_names_of_those_that_have_one():
    with pytest.raises(ZooError, match="fourier_gr2 or galaxea_r1"):
        body("libero_franka")
