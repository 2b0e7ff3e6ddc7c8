"""Motions without hands: smooth, within limits and rates, and the recorded one at its rate."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinematic_robot import Clock
from lerobot.teleoperators import TeleoperatorConfig
from lerobot.teleoperators.utils import make_teleoperator_from_config
from played_episodes import action_at, write_episode

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.poses import resting_pose
from lerobot_teleoperator_motion import ReplayMotionConfig, ScriptedMotionConfig
from lerobot_teleoperator_motion.motion import LONGEST_STEP_S, ReplayMotion, ScriptedMotion

ROBOTS = ("fourier_gr2", "galaxea_r1", "galaxea_r1_lite", "galaxea_r1_pro")


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_episode(tmp_path_factory.mktemp("episode") / "lite", "galaxea_r1_lite")


def scripted(folder: Path, clock: Clock, **options: object) -> ScriptedMotion:
    return ScriptedMotion(ScriptedMotionConfig(calibration_dir=folder, **options), clock=clock)


def replayed(folder: Path, clock: Clock, episode: Path, **options: object) -> ReplayMotion:
    config = ReplayMotionConfig(repo_id="local/lite", root=episode, calibration_dir=folder, **options)
    return ReplayMotion(config, clock=clock)


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_scripted_motion_is_smooth_and_within_what_the_robot_may(robot: str, tmp_path: Path):
    clock, step_s = Clock(), 1 / 30
    motion = scripted(tmp_path, clock, robot=robot, amplitude=1.0)
    motion.connect()
    contract = catalog.contract(robot)
    assert list(motion.action_features) == contract.action_names
    first = motion.get_action()
    assert first == resting_pose(contract)
    actions = [first]
    for _ in range(300):
        clock.wait(step_s)
        actions.append(motion.get_action())
    for signal in contract.action:
        values = np.array([action[signal.name] for action in actions])
        if not signal.exists or signal.group == "base":
            assert (values == 0).all()
            continue
        assert signal.lower - 1e-9 <= values.min() < values.max() <= signal.upper + 1e-9
        assert np.abs(np.diff(values)).max() <= signal.rate * step_s


def test_parts_of_a_robot_can_be_chosen(tmp_path: Path):
    clock = Clock()
    motion = scripted(tmp_path, clock, groups=["head"])
    motion.connect()
    rest = motion.get_action()
    clock.wait(1)
    moved = {name for name, value in motion.get_action().items() if value != rest[name]}
    assert moved == {"head_yaw_joint.pos", "head_pitch_joint.pos"}
    with pytest.raises(ZooError, match=r"got:      tail\n  expected: left_arm, right_arm"):
        scripted(tmp_path, clock, groups=["tail"])


@settings(max_examples=30, deadline=None)
@given(passed_s=st.floats(0, 1e6), amplitude=st.floats(0.01, 1), period_s=st.floats(0.1, 100))
def test_at_no_time_a_scripted_motion_leaves_the_limits(
    tmp_path_factory: pytest.TempPathFactory, passed_s: float, amplitude: float, period_s: float
):
    motion = scripted(
        tmp_path_factory.getbasetemp(),
        Clock(),
        robot="galaxea_r1_pro",
        amplitude=amplitude,
        period_s=period_s,
    )
    signals = motion.signals_at(passed_s)
    for signal in catalog.contract("galaxea_r1_pro").action:
        assert signal.lower - 1e-9 <= signals[signal.name] <= signal.upper + 1e-9


def test_a_recorded_motion_plays_at_its_rate_and_stays_at_its_end(tmp_path: Path, episode: Path):
    clock = Clock()
    motion = replayed(tmp_path, clock, episode)
    motion.connect()
    clock.wait(30)
    for frame in range(6):
        assert motion.get_action() == pytest.approx(action_at("galaxea_r1_lite", frame), abs=1e-6)
        clock.wait(0.1)
    for _ in range(10):
        clock.wait(0.5)
        assert motion.get_action() == pytest.approx(action_at("galaxea_r1_lite", 5), abs=1e-6)


def test_a_motion_waits_while_nobody_asks(tmp_path: Path):
    """Between two episodes the robot holds; the motion goes on from there."""
    clock = Clock()
    motion = scripted(tmp_path, clock)
    motion.connect()
    motion.get_action()
    clock.wait(0.4)
    motion.get_action()
    clock.wait(60)
    assert motion.get_action() == pytest.approx(motion.signals_at(0.4 + LONGEST_STEP_S))


def test_a_recorded_motion_can_begin_again(tmp_path: Path, episode: Path):
    clock = Clock()
    motion = replayed(tmp_path, clock, episode, loop=True)
    motion.connect()
    motion.get_action()
    for _ in range(2):
        clock.wait(0.4)
        action = motion.get_action()
    assert action == pytest.approx(action_at("galaxea_r1_lite", 2), abs=1e-6)


def test_it_speaks_the_layout_that_the_robot_speaks(tmp_path: Path, episode: Path):
    motion = replayed(tmp_path, Clock(), episode, layout="arms_14")
    motion.connect()
    action = motion.get_action()
    assert list(action) == list(motion.action_features)
    recorded = action_at("galaxea_r1_lite", 0)["left_gripper.pos"]
    assert action["left_gripper_raw.pos"] == pytest.approx(100 * recorded)


def test_recorded_actions_that_leave_joints_open_are_refused(tmp_path: Path):
    arms = write_episode(tmp_path / "arms", "galaxea_r1_lite", layout="arms_14")
    with pytest.raises(ZooError, match=r"do not say where galaxea_r1_lite goes\n  got:      no torso_joint1"):
        replayed(tmp_path, Clock(), arms, dataset_layout="arms_14")


@pytest.mark.parametrize("kind", ["scripted_motion", "replay_motion"])
def test_lerobot_makes_and_uses_it(kind: str, tmp_path: Path, episode: Path):
    config = TeleoperatorConfig.get_choice_class(kind)(calibration_dir=tmp_path)
    if kind == "replay_motion":
        config.repo_id, config.root = "local/lite", episode
    motion = make_teleoperator_from_config(config)
    assert motion.name == kind
    assert motion.feedback_features == {}
    assert motion.is_calibrated
    with pytest.raises(ZooError, match="is not connected"):
        motion.get_action()
    motion.connect()
    motion.connect()
    assert motion.is_connected
    assert list(motion.get_action()) == list(motion.action_features)
    motion.send_feedback({})
    motion.calibrate()
    motion.disconnect()
    motion.disconnect()
    assert not motion.is_connected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"amplitude": 0.0}, "teleop.amplitude is out of range"),
        ({"amplitude": 1.5}, "teleop.amplitude is out of range"),
        ({"period_s": float("nan")}, "teleop.period_s is out of range"),
        ({"robot": "gr3"}, "unknown robot"),
        ({"layout": "v9"}, "unknown layout"),
    ],
)
def test_wrong_options_are_refused(options: dict, said: str, tmp_path: Path):
    with pytest.raises(ZooError, match=said):
        scripted(tmp_path, Clock(), **options)
