"""A recorded episode answers: state, pictures and depth of the moment, at the recorded rate."""

import logging
from pathlib import Path

import numpy as np
import pytest
from kinematic_robot import Clock
from played_episodes import HEIGHT, WIDTH, depth_at, state_at, write_episode

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.replay import ReplayBackend
from lerobot_robot_fourier_gr2 import FourierGR2Config
from lerobot_robot_fourier_gr2.fourier_gr2 import FourierGR2
from lerobot_robot_galaxea_r1 import GalaxeaR1LiteConfig

ROBOT = "fourier_gr2"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_episode(tmp_path_factory.mktemp("recording") / "gr2", ROBOT)


def config(recording: Path, folder: Path, **options: object) -> FourierGR2Config:
    return FourierGR2Config(
        backend="replay",
        replay_repo_id="local/fourier_gr2",
        replay_root=recording,
        calibration_dir=folder,
        watchdog_s=0.0,
        **options,
    )


def backend(recording: Path, folder: Path, clock: Clock, **options: object) -> ReplayBackend:
    made = ReplayBackend(catalog.contract(ROBOT), config(recording, folder, **options), clock)
    made.connect()
    return made


def test_the_state_of_the_moment_is_read(recording: Path, tmp_path: Path):
    clock = Clock()
    replay = backend(recording, tmp_path, clock)
    replay.picture("camera_top")
    clock.wait(30)  # time begins with the first measurement
    for frame in range(6):
        reading = replay.read()
        assert reading.sequence == frame
        assert reading.received_s == pytest.approx(clock())
        assert reading.signals == pytest.approx(state_at(ROBOT, frame), abs=1e-6)
        clock.wait(0.1)


def test_after_its_end_the_robot_stands_still(
    recording: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    clock = Clock()
    replay = backend(recording, tmp_path, clock)
    replay.read()
    clock.wait(60)
    with caplog.at_level(logging.INFO):
        late = [replay.read(), replay.read()]
    assert late[1].signals == pytest.approx(state_at(ROBOT, 5), abs=1e-6)
    assert clock() - late[1].received_s < 0.11
    assert caplog.text.count("over after 6 frames") == 1


def test_pictures_and_depth_are_the_recorded_ones(recording: Path, tmp_path: Path):
    clock = Clock()
    robot_config = config(recording, tmp_path)
    robot = FourierGR2(
        robot_config, backend=ReplayBackend(catalog.contract(ROBOT), robot_config, clock), clock=clock
    )
    assert robot.observation_features["camera_top_depth"] == (HEIGHT, WIDTH, 1)
    robot.connect()
    robot.get_observation()
    clock.wait(0.2)
    observation = robot.get_observation()
    assert (observation["camera_top"] == 20).all()
    assert np.array_equal(observation["camera_top_depth"], depth_at(2))
    robot.disconnect()


def test_commands_change_nothing_and_pass_the_filter(recording: Path, tmp_path: Path):
    clock = Clock()
    robot_config = config(recording, tmp_path)
    robot = FourierGR2(
        robot_config, backend=ReplayBackend(catalog.contract(ROBOT), robot_config, clock), clock=clock
    )
    robot.connect()
    before = robot.get_observation()["head_yaw_joint.pos"]
    for _ in range(3):
        robot.send_action({"head_yaw_joint.pos": 1.0})
    assert robot.get_observation()["head_yaw_joint.pos"] == before
    with pytest.raises(ZooError):
        robot.send_action({"head_yaw_joint.pos": 90.0})
    robot.disconnect()


def test_a_recording_in_another_layout_is_understood(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Both arms and grippers in mm; what it lacks is at rest, and said."""
    lite = catalog.contract("galaxea_r1_lite")
    options = GalaxeaR1LiteConfig(
        backend="replay",
        replay_repo_id="local/lite",
        replay_root=write_episode(tmp_path / "lite", lite.robot_type, layout="arms_14"),
        replay_layout="arms_14",
        calibration_dir=tmp_path,
    )
    replay = ReplayBackend(lite, options, Clock())
    replay.connect()
    recorded, signals = state_at(lite.robot_type, 0), replay.read().signals
    assert signals["right_gripper.pos"] == pytest.approx(recorded["right_gripper.pos"])
    assert list(signals) == lite.state_names
    assert (signals["torso_joint1.pos"], signals["base_x.vel"]) == (0.0, 0.0)
    assert "layout arms_14 lacks base_x.vel" in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"replay_repo_id": None}, "no --robot.replay_repo_id"),
        (
            {"replay_root": Path("/nowhere")},
            r"there is no LeRobot dataset[\s\S]*hf download local/fourier_gr2",
        ),
        ({"replay_episode": 3}, r"no such episode\n  got:      3\n  expected: 0 to 0"),
        ({"replay_layout": "v9"}, r"unknown layout of fourier_gr2"),
        ({"replay_layout": "v2_35"}, r"is not in the layout v2_35\n  got:      columns as in v1_37"),
    ],
)
def test_what_cannot_be_replayed_is_refused(recording: Path, tmp_path: Path, options: dict, said: str):
    wrong = config(recording, tmp_path)
    for name, value in options.items():
        setattr(wrong, name, value)
    with pytest.raises(ZooError, match=said):
        ReplayBackend(catalog.contract(ROBOT), wrong).connect()


def test_a_recording_of_another_robot_is_refused(recording: Path, tmp_path: Path):
    with pytest.raises(ZooError, match="no known layout fits the dataset"):
        ReplayBackend(catalog.contract("galaxea_r1"), config(recording, tmp_path))
