"""How a simulated robot moves and what it measures."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from simulated_robots import ROBOTS, physics, resting_targets

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.simulation.geometry import body
from lerobot_plugins.robots.simulation.mjcf import TIMESTEP_S

SECOND = round(1 / TIMESTEP_S)


def random_targets(robot_type: str, seed: int) -> dict[str, float]:
    """Anywhere within the limits; the base at rest."""
    generator = np.random.default_rng(seed)
    return {
        signal.name: 0.0 if signal.group == "base" else float(generator.uniform(signal.lower, signal.upper))
        for signal in catalog.contract(robot_type).action
        if signal.exists
    }


def at_rest(robot_type: str) -> tuple:
    robot = physics(robot_type)
    return robot, resting_targets(catalog.contract(robot_type), robot.measure())


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_every_signal_is_measured_and_a_robot_at_rest_stays(robot_type: str):
    robot = physics(robot_type)
    before = robot.measure()
    assert list(before) == catalog.contract(robot_type).state_names
    robot.advance(SECOND)
    after = robot.measure()
    np.testing.assert_allclose(list(after.values()), list(before.values()), atol=1e-3)


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_servos_reach_their_targets(robot_type: str):
    robot = physics(robot_type)
    targets = random_targets(robot_type, seed=1)
    robot.command(targets)
    robot.advance(4 * SECOND)
    measured = robot.measure()
    errors = {name: abs(measured[name] - targets[name]) for name in targets if name in measured}
    assert max(errors.values()) < 0.05, max(errors, key=lambda name: errors[name])


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_joints_thrown_about_stay_finite_and_within_their_limits(robot_type: str):
    robot = physics(robot_type)
    beyond = 0.0
    for seed in range(10):
        robot.command(random_targets(robot_type, seed))
        for _ in range(20):
            robot.advance(10)
            measured = robot.measure()
            assert all(map(math.isfinite, measured.values()))
            for signal in catalog.contract(robot_type).action:
                if signal.name in measured and signal.group != "base":
                    value = measured[signal.name]
                    beyond = max(beyond, signal.lower - value, value - signal.upper)
    assert robot.steps == 2000
    assert beyond < 0.02


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_the_base_drives_as_far_as_its_speed_says(robot_type: str):
    robot, targets = at_rest(robot_type)
    forward = next(name for name in targets if name in ("base_x.vel", "base_vel_x.vel"))
    robot.command({**targets, forward: 0.3})
    robot.advance(SECOND)
    assert robot.data.joint("base_x").qpos[0] == pytest.approx(0.3, abs=0.02)
    robot.command(targets)
    robot.advance(SECOND)
    assert robot.data.joint("base_x").qpos[0] == pytest.approx(0.3, abs=0.002)


def test_the_base_drives_in_its_own_frame_and_measures_so():
    robot, targets = at_rest("galaxea_r1")
    robot.command({**targets, "base_yaw.vel": math.pi / 2})
    robot.advance(SECOND)
    robot.command({**targets, "base_x.vel": 0.5})
    robot.advance(SECOND)
    measured = robot.measure()
    assert measured["base_x.vel"] == pytest.approx(0.5, abs=0.01)
    assert measured["base_y.vel"] == pytest.approx(0.0, abs=0.02)
    assert robot.data.joint("base_y").qpos[0] == pytest.approx(0.5, abs=0.04)
    assert robot.data.joint("base_x").qpos[0] == pytest.approx(0.0, abs=0.04)


def test_gr2_rises_pitches_and_turns_within_bounds():
    robot, targets = at_rest("fourier_gr2")
    z = robot.measure()["base_pos_z.pos"]
    robot.command(
        {**targets, "base_vel_height.vel": -0.1, "base_vel_pitch.vel": 0.3, "base_base_yaw.pos": 0.5}
    )
    robot.advance(SECOND)
    robot.command({**targets, "base_base_yaw.pos": 0.5})
    robot.advance(SECOND)
    measured = robot.measure()
    assert measured["base_pos_z.pos"] == pytest.approx(z - 0.1, abs=0.005)
    assert measured["base_rpy_pitch.pos"] == pytest.approx(0.3, abs=0.005)
    assert measured["base_rpy_yaw.pos"] == pytest.approx(0.5, abs=0.005)
    quaternion = [measured[f"base_quat_{part}.pos"] for part in "xyzw"]
    roll_pitch_yaw = [measured[f"base_rpy_{angle}.pos"] for angle in ("roll", "pitch", "yaw")]
    np.testing.assert_allclose(Rotation.from_quat(quaternion).as_euler("xyz"), roll_pitch_yaw, atol=1e-9)
    # Pitched forward, the inertial unit feels a part of gravity along its x axis.
    assert measured["imu_acc_x.vel"] == pytest.approx(-9.81 * math.sin(0.3), abs=0.1)

    robot.command({**targets, "base_vel_height.vel": -1.0})
    robot.advance(2 * SECOND)
    lowest = body("fourier_gr2").rises[0][0]
    assert robot.measure()["base_pos_z.pos"] == pytest.approx(z + lowest, abs=0.01)


def test_the_inertial_unit_feels_gravity_and_turning():
    robot, targets = at_rest("fourier_gr2")
    measured = robot.measure()
    assert [measured[f"imu_acc_{axis}.vel"] for axis in "xyz"] == pytest.approx([0, 0, 9.81], abs=1e-3)
    robot.command({**targets, "base_vel_yaw.vel": 0.8})
    robot.advance(SECOND)
    assert robot.measure()["imu_omega_z.vel"] == pytest.approx(0.8, abs=0.01)


def test_grippers_run_from_closed_to_open_and_both_fingers_move():
    robot, targets = at_rest("galaxea_r1_lite")
    for opening in (0.0, 1.0, 0.25):
        robot.command({**targets, "right_gripper.pos": opening})
        robot.advance(SECOND)
        assert robot.measure()["right_gripper.pos"] == pytest.approx(opening, abs=0.01)
        for finger in (1, 2):
            metres = robot.data.joint(f"right_gripper_finger_joint{finger}").qpos[0]
            assert metres == pytest.approx(0.05 * opening, abs=5e-4)


def test_passive_finger_joints_follow():
    robot, targets = at_rest("fourier_gr2")
    robot.command({**targets, "L_index_proximal_joint.pos": -1.2, "R_thumb_proximal_pitch_joint.pos": 0.7})
    robot.advance(SECOND)
    assert robot.data.joint("L_index_intermediate_joint").qpos[0] == pytest.approx(-1.2 * 0.975, abs=0.01)
    assert robot.data.joint("R_thumb_distal_joint").qpos[0] == pytest.approx(0.7 * 1.06, abs=0.01)


def test_measured_velocities_are_those_of_the_positions():
    robot, targets = at_rest("galaxea_r1_pro")
    robot.command({**targets, "left_arm_joint1.pos": targets["left_arm_joint1.pos"] - 1.0})
    robot.advance(50)
    before = robot.measure()
    robot.advance(5)
    after = robot.measure()
    change = (after["left_arm_joint1.pos"] - before["left_arm_joint1.pos"]) / (5 * TIMESTEP_S)
    mean = (after["left_arm_joint1.vel"] + before["left_arm_joint1.vel"]) / 2
    assert change == pytest.approx(mean, rel=0.1)
    assert abs(change) > 0.3


def test_holding_stops_arms_and_base():
    robot, targets = at_rest("galaxea_r1")
    robot.command({**targets, "base_x.vel": 0.5, "left_arm_joint1.pos": targets["left_arm_joint1.pos"] + 1.5})
    robot.advance(100)
    robot.hold()
    held = robot.measure()
    robot.advance(2 * SECOND)
    after = robot.measure()
    assert after["left_arm_joint1.pos"] == pytest.approx(held["left_arm_joint1.pos"], abs=0.01)
    assert after["base_x.vel"] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left_arm_joint9.pos": 0.0}, "left_arm_joint9.pos"),
        ({"left_arm_joint1.pos": math.nan}, "left_arm_joint1.pos is not finite"),
        ({"left_arm_joint1.pos": None}, "no left_arm_joint1.pos"),
    ],
)
def test_wrong_targets_are_refused_and_change_nothing(change: dict, message: str):
    robot, targets = at_rest("galaxea_r1")
    before = robot.data.ctrl.copy()
    wrong = {
        name: value
        for name, value in {**targets, "torso_joint1.pos": 0.1, **change}.items()
        if value is not None
    }
    with pytest.raises(ZooError, match=message):
        robot.command(wrong)
    np.testing.assert_array_equal(robot.data.ctrl, before)
