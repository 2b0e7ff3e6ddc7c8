"""A simulated robot as a backend, and under LeRobot's robot with all its checks."""

import builtins
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from kinematic_robot import Clock
from lerobot.robots import RobotConfig, make_robot_from_config
from simulated_robots import ROBOTS, resting_targets, simulated

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.fourier_gr2 import FOURIER_GR2
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.config import ZooRobotConfig
from lerobot_plugins.robots.simulation.backend import SimulationBackend
from lerobot_robot_fourier_gr2.config_fourier_gr2 import FourierGR2Config
from lerobot_robot_fourier_gr2.fourier_gr2 import FourierGR2


def test_simulated_time_is_the_clocks():
    with simulated("galaxea_r1_lite") as (backend, clock):
        first = backend.read()
        assert backend.read() == first  # no time, no new measurement
        clock.wait(1.0)
        second = backend.read()
        assert second.sequence == first.sequence + 500
        assert second.received_s == clock()
        clock.wait(0.0031)
        assert backend.read().sequence == second.sequence + 1
        clock.wait(0.0011)  # what was left is not lost
        assert backend.read().sequence == second.sequence + 2


def test_the_same_commands_at_the_same_times_give_the_same_measurements():
    def play() -> list[dict[str, float]]:
        with simulated("galaxea_r1_lite") as (backend, clock):
            targets = resting_targets(catalog.contract("galaxea_r1_lite"), backend.read().signals)
            seen = []
            for i in range(10):
                backend.write({**targets, "left_arm_joint2.pos": 1.5 + 0.05 * i, "base_y.vel": 0.1})
                clock.wait(1 / 15)
                seen.append(backend.read().signals)
            return seen

    assert play() == play()


def test_a_long_pause_does_not_happen_to_the_robot(caplog: pytest.LogCaptureFixture):
    with simulated("galaxea_r1_lite") as (backend, clock):
        clock.wait(3600)
        with caplog.at_level(logging.WARNING):
            assert backend.read().sequence == 5000
        assert "stood still for 3590.0 s" in caplog.text


def test_pictures_have_the_sizes_and_the_depth_that_were_asked_for():
    with simulated("fourier_gr2", sim_height=30, sim_width=40) as (backend, _):
        backend.read()
        picture = backend.picture("camera_top")
        assert picture.rgb.shape == (30, 40, 3)
        assert picture.rgb.std() > 10
        assert picture.depth_mm is not None
        # The lower half sees the table, nearer than 2 m and farther than the robot's own hands.
        assert 300 < np.median(picture.depth_mm[15:]) < 2000
        with pytest.raises(ZooError, match="camera_top or outside"):
            backend.picture("camera_bottom")
    with simulated("fourier_gr2", use_depth=False) as (backend, _):
        assert backend.picture("camera_top").depth_mm is None
        assert backend.picture("outside").rgb.shape == (480, 640, 3)


def test_pictures_show_the_moment_of_the_last_reading():
    with simulated("fourier_gr2") as (backend, clock):
        targets = resting_targets(FOURIER_GR2, backend.read().signals)
        before = backend.picture("camera_top").rgb
        backend.write({**targets, "head_yaw_joint.pos": 0.6})
        clock.wait(1.0)
        np.testing.assert_array_equal(backend.picture("camera_top").rgb, before)
        backend.read()
        assert np.abs(backend.picture("camera_top").rgb.astype(int) - before).mean() > 5


def test_own_limits_are_the_models_limits():
    with simulated("fourier_gr2", limits={"left_elbow_pitch_joint.pos": [-1.9, 0.08]}) as (backend, clock):
        targets = resting_targets(FOURIER_GR2, backend.read().signals)
        backend.write({**targets, "left_elbow_pitch_joint.pos": -1.85})
        clock.wait(2.0)
        assert backend.read().signals["left_elbow_pitch_joint.pos"] == pytest.approx(-1.85, abs=0.01)


def test_without_mujoco_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    backend = SimulationBackend(FOURIER_GR2, ZooRobotConfig())
    with pytest.raises(ZooError, match=r"lerobot_policy_zoo\[sim\]"):
        backend.connect()
    assert not backend.is_connected


def test_a_mujoco_that_cannot_be_loaded_is_told_with_the_variable_that_matters(
    monkeypatch: pytest.MonkeyPatch,
):
    def broken(name: str, *args: object, **options: object) -> object:
        if name == "mujoco":
            raise AttributeError("'NoneType' object has no attribute 'glGetError'")
        return real(name, *args, **options)

    real = builtins.__import__
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ZooError, match="MUJOCO_GL=osmesa") as raised:
        SimulationBackend(FOURIER_GR2, ZooRobotConfig()).connect()
    assert "glGetError" in str(raised.value)


def test_nothing_works_before_connecting_and_closing_twice_does():
    backend = SimulationBackend(FOURIER_GR2, ZooRobotConfig(), Clock())
    for use in (backend.read, backend.hold, lambda: backend.picture("camera_top"), lambda: backend.write({})):
        with pytest.raises(ZooError, match="not connected"):
            use()
    backend.connect()
    backend.connect()
    assert backend.is_connected
    backend.disconnect()
    backend.disconnect()
    assert not backend.is_connected


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_lerobots_robot_sees_all_its_features_in_the_simulation(robot_type: str, tmp_path: Path):
    config_class = RobotConfig.get_choice_class(robot_type)
    robot = make_robot_from_config(
        config_class(calibration_dir=tmp_path, sim_height=24, sim_width=32, watchdog_s=0, max_age_s=60)
    )
    robot.connect()
    seen = robot.get_observation()
    assert list(seen) == list(robot.observation_features)
    for name, feature in robot.observation_features.items():
        if isinstance(feature, tuple):
            assert seen[name].shape == feature, name
            assert np.ptp(seen[name]) > 20, name
        else:
            assert isinstance(seen[name], float), name
    sent = robot.send_action({})  # nothing asked: it holds
    for name in sent:
        if name in seen and not name.endswith(".vel"):
            assert sent[name] == pytest.approx(seen[name], abs=1e-3), name
    robot.disconnect()


def test_random_actions_through_all_checks_stay_finite_slow_and_within_limits(tmp_path: Path):
    clock = Clock()
    config = FourierGR2Config(
        calibration_dir=tmp_path, backend_cameras=[], enable_base=True, watchdog_s=0, ramp_s=0
    )
    robot = FourierGR2(config, backend=SimulationBackend(FOURIER_GR2, config, clock), clock=clock)
    robot.connect()
    generator = np.random.default_rng(0)
    arms = [
        name for name in FOURIER_GR2.action_names if FOURIER_GR2.action_signals[name].group.endswith("_arm")
    ]
    fastest = beyond = 0.0
    last = robot.get_observation()
    for i in range(240):
        if i % 15 == 0:
            action = {
                signal.name: float(generator.uniform(signal.lower, signal.upper))
                for signal in FOURIER_GR2.action
                if signal.lower is not None
            }
        robot.send_action(action)
        clock.wait(1 / 30)
        seen = robot.get_observation()
        fastest = max(fastest, *(abs(seen[name] - last[name]) * 30 for name in arms))
        beyond = max(
            beyond,
            *(
                signal.lower - seen[signal.name]
                for signal in FOURIER_GR2.state
                if signal.group.endswith("_arm")
            ),
            *(
                seen[signal.name] - signal.upper
                for signal in FOURIER_GR2.state
                if signal.group.endswith("_arm")
            ),
        )
        last = seen
    robot.disconnect()
    assert all(np.isfinite(value) for value in last.values())
    assert beyond < 0.01
    assert 1.0 < fastest < 2.5  # commands change by 1.8 rad/s at most
