"""LeRobot's robot commands on the simulated GR-2: no hardware, no display."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from stock_robot_commands import SIZE, record, run
from training import TINY, Run, lerobot_train_here

from lerobot_plugins.contracts import catalog
from lerobot_plugins.robots import robot as robots

pytest.importorskip("mujoco")

GR2 = catalog.contract("fourier_gr2")
ROBOT = ("--robot.type=fourier_gr2", *SIZE)
ONE_CAMERA = "observation.images.camera_top"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An episode of a scripted motion, with depth, pictures stored as images.

    As videos, LeRobot 0.6.1 cannot always write small depth of one or two frames, which is all that a busy
    machine records in a second.
    """
    root = tmp_path_factory.mktemp("recording") / "gr2"
    record(root, "--dataset.video=false")
    return root


class Sent:
    """Remembers what robots were sent."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.actions: list[dict[str, float]] = []
        send = robots.ZooRobot.send_action

        def remember(robot: robots.ZooRobot, action: dict[str, Any]) -> dict[str, float]:
            sent = send(robot, action)
            self.actions.append(sent)
            return sent

        patch.setattr(robots.ZooRobot, "send_action", remember)

    def values(self) -> np.ndarray:
        return np.array([list(action.values()) for action in self.actions])


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    return Sent(monkeypatch)


def test_a_recording_holds_state_action_colour_and_depth(recording: Path):
    features = json.loads((recording / "meta/info.json").read_text())["features"]
    assert features["observation.state"]["names"] == GR2.state_names
    assert features["action"]["names"] == GR2.action_names
    assert features[ONE_CAMERA]["shape"] == [24, 32, 3]
    depth = features[f"{ONE_CAMERA}_depth"]
    assert depth["shape"] == [24, 32, 1]
    assert (depth["info"]["is_depth_map"], depth["info"]["depth_unit"]) == (True, "mm")
    dataset = LeRobotDataset("local/gr2", root=recording, video_backend="pyav")
    assert dataset.meta.robot_type == "fourier_gr2"
    item = dataset[0]
    assert 100 < item[f"{ONE_CAMERA}_depth"].max() <= 10_000  # mm
    assert item[ONE_CAMERA].std() > 0.02
    assert np.isfinite(item["observation.state"].numpy()).all()


def test_a_recording_is_recognised_as_the_robots_own(recording: Path):
    features = json.loads((recording / "meta/info.json").read_text())["features"]
    assert catalog.recognise(features).name == "v1_37"


def test_recordings_are_continued(tmp_path: Path):
    short = ("--dataset.episode_time_s=0.1", "--dataset.video=false")
    record(tmp_path / "gr2", *short)
    record(tmp_path / "gr2", *short, "--resume=true")
    assert json.loads((tmp_path / "gr2/meta/info.json").read_text())["total_episodes"] == 2


def test_a_recorded_episode_is_replayed(recording: Path, sent: Sent):
    run(
        "replay",
        *ROBOT,
        "--dataset.repo_id=local/gr2",
        f"--dataset.root={recording}",
        "--dataset.episode=0",
        "--play_sounds=false",
    )
    frames = json.loads((recording / "meta/info.json").read_text())["total_frames"]
    assert len(sent.actions) == frames


def test_a_recorded_motion_teleoperates(recording: Path, sent: Sent):
    run(
        "teleoperate",
        *ROBOT,
        "--teleop.type=replay_motion",
        "--teleop.repo_id=local/gr2",
        f"--teleop.root={recording}",
        "--teleop_time_s=0.5",
        "--fps=10",
    )
    assert sent.actions
    assert list(sent.actions[0]) == GR2.action_names


@pytest.mark.slow
def test_a_recording_in_videos_has_the_same_pictures(tmp_path: Path):
    """Colour is encoded with loss, depth in 4096 steps: 1.2 mm near the camera, 4.4 mm at 10 m."""
    root = tmp_path / "gr2"
    record(root, "--dataset.episode_time_s=4", "--robot.sim_height=48", "--robot.sim_width=64")
    dataset = LeRobotDataset("local/gr2", root=root, video_backend="pyav")
    assert len(dataset) > 2
    item = dataset[len(dataset) - 1]
    assert item[f"{ONE_CAMERA}_depth"].shape == (1, 48, 64)
    assert 300 < item[f"{ONE_CAMERA}_depth"].max() <= 10_000  # mm
    assert item[ONE_CAMERA].std() > 0.02


@pytest.mark.parametrize("device", [ROBOT, ("--teleop.type=scripted_motion",)])
def test_calibrating_does_nothing(device: tuple[str, ...]):
    run("calibrate", *device)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["act", "paligemma_flow"])
def test_recorded_data_trains_a_policy_that_drives_the_robot(
    policy: str, recording: Path, tmp_path: Path, sent: Sent
):
    """Sync with stock ACT, real-time chunking with ours; the robot goes back to where it began."""
    options = {
        "act": (
            "--policy.type=act",
            "--policy.device=cpu",
            "--policy.push_to_hub=false",
            "--policy.pretrained_backbone_weights=null",
            "--policy.dim_model=32",
            "--policy.n_heads=2",
            "--policy.dim_feedforward=32",
            "--policy.n_encoder_layers=1",
            "--policy.use_vae=false",
            "--policy.input_features={observation.state: {type: STATE, shape: [45]}, "
            f"{ONE_CAMERA}: {{type: VISUAL, shape: [3, 24, 32]}}}}",
        ),
        "paligemma_flow": (*TINY, f"--policy.camera_order=[{ONE_CAMERA}]"),
    }[policy]
    trained: Run = lerobot_train_here(
        tmp_path / "run",
        *options,
        "--policy.chunk_size=8",
        "--policy.n_action_steps=8",
        "--dataset.repo_id=local/gr2",
        f"--dataset.root={recording}",
        "--dataset.video_backend=pyav",
        f"--output_dir={tmp_path / 'run'}",
        "--batch_size=4",
        "--steps=2",
        "--save_freq=2",
        "--num_workers=0",
        "--env_eval_freq=0",
    )
    inference = {
        "act": ("--inference.type=sync",),
        "paligemma_flow": ("--inference.type=rtc", "--inference.rtc.execution_horizon=4"),
    }[policy]
    run(
        "rollout",
        *ROBOT,
        *inference,
        f"--policy.path={trained.policy()}",
        "--policy.device=cpu",
        "--task=wave",
        "--duration=2",
        "--fps=10",
    )
    values = sent.values()
    assert np.isfinite(values).all()
    assert len(values) > 10
    for column, signal in enumerate(GR2.action):
        if signal.exists and signal.lower is not None:
            assert signal.lower <= values[:, column].min() <= values[:, column].max() <= signal.upper
