"""The committed sample sets: small, alike, and what their README says."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image

import lerobot_dataset_rlds
from lerobot_dataset_rlds.example import parse_example
from lerobot_dataset_rlds.mapping import load_mapping
from lerobot_dataset_rlds.source import RldsSource
from lerobot_dataset_rlds.tfrecord import TFRecordShard

TASKS = (
    "pick up the bbq sauce and place it in the basket",
    "pick up the chocolate pudding and place it in the basket",
)
STEPS, EPISODES = 823, 10


@pytest.fixture(scope="module")
def folder(checkout):
    return checkout / "examples" / "sample_data"


@pytest.fixture(scope="module")
def shards(folder):
    return [
        TFRecordShard(file) for file in sorted((folder / "rlds/libero_sample/1.0.0").glob("*.tfrecord-*"))
    ]


@pytest.fixture(scope="module")
def episodes(shards):
    """The RLDS episodes, by column, with every row's shape restored."""

    def read(record):
        columns = parse_example(record)
        steps = len(columns["steps/is_first"])

        def texts(name):
            return [bytes(value).decode() for value in columns[name]]

        return SimpleNamespace(
            action=np.reshape(columns["steps/action"], (steps, 7)),
            state=np.reshape(columns["steps/observation/state"], (steps, 8)),
            joint_state=np.reshape(columns["steps/observation/joint_state"], (steps, 7)),
            image=columns["steps/observation/image"],
            wrist_image=columns["steps/observation/wrist_image"],
            flags=np.stack([columns[f"steps/{name}"] for name in ("is_first", "is_last", "is_terminal")], 1),
            reward=np.asarray(columns["steps/reward"]),
            instruction=texts("steps/language_instruction"),
            name=texts("episode_metadata/file_path")[0],
        )

    return [read(record) for shard in shards for record in shard]


@pytest.fixture(scope="module")
def lerobot_set(folder):
    root = folder / "lerobot" / "libero_sample"
    return LeRobotDataset("local/libero_sample", root=root, video_backend="pyav")


def test_both_sets_together_stay_small(folder):
    files = [file for name in ("rlds", "lerobot") for file in (folder / name).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 3_000_000


def test_the_episodes_are_spread_over_shards(shards):
    assert [len(shard) for shard in shards] == [5, 5]


def test_tasks_alternate_so_that_the_last_episodes_hold_out_one_of_each(episodes):
    assert len(episodes) == EPISODES
    for index, episode in enumerate(episodes):
        assert set(episode.instruction) == {TASKS[index % 2]}
    assert len({episode.name for episode in episodes}) == EPISODES


def test_every_episode_starts_once_and_ends_solved(episodes):
    for episode in episodes:
        steps = len(episode.action)
        assert 75 <= steps <= 130
        first, last, terminal = episode.flags.astype(bool).T
        assert first.tolist() == [True] + [False] * (steps - 1)
        assert last.tolist() == terminal.tolist() == [False] * (steps - 1) + [True]
        assert episode.reward.tolist() == last.astype(float).tolist()


def test_every_action_dimension_moves_and_stays_in_range(episodes):
    for episode in episodes:
        assert np.abs(episode.action).max() <= 1.0
        assert episode.action[:, :6].std(axis=0).min() > 0.02
        gripper = episode.action[:, 6]
        assert set(gripper.tolist()) == {-1.0, 1.0}
        # Open, closed, open again: one grasp and one release.
        assert np.flatnonzero(np.diff(gripper)).size == 2


def test_the_state_follows_the_action(episodes):
    for episode in episodes:
        moved = np.diff(episode.state[:, :3], axis=0)
        asked = episode.action[:-1, :3]
        for axis in range(3):
            assert np.corrcoef(moved[:, axis], asked[:, axis])[0, 1] > 0.6
        # Axis-angle of a hand that points down turns by about pi and never jumps.
        angle = np.linalg.norm(episode.state[:, 3:6], axis=1)
        assert np.abs(angle - np.pi).max() < 0.4
        assert np.abs(np.diff(episode.state[:, 3:6], axis=0)).max() < 0.15


def test_pictures_are_small_jpegs_with_something_in_them(episodes):
    for episode in episodes:
        for pictures in (episode.image, episode.wrist_image):
            assert len(pictures) == len(episode.action)
            decoded = np.stack([np.asarray(Image.open(io.BytesIO(picture))) for picture in pictures])
            assert decoded.shape[1:] == (64, 64, 3)
            assert decoded.std(axis=(1, 2, 3)).min() > 15
            assert np.abs(np.diff(decoded.astype(float), axis=0)).mean(axis=(1, 2, 3)).max() > 1


def test_the_lerobot_set_holds_the_same_episodes(episodes, lerobot_set):
    assert (lerobot_set.num_episodes, len(lerobot_set), lerobot_set.fps) == (EPISODES, STEPS, 20)
    assert lerobot_set.meta.robot_type == "franka"
    columns = lerobot_set.hf_dataset.with_format("numpy")
    for name, attribute in (("action", "action"), ("observation.state", "state")):
        recorded = np.concatenate([getattr(episode, attribute) for episode in episodes])
        np.testing.assert_array_equal(np.stack(columns[name][:]), recorded)


@pytest.mark.parametrize("index", [0, 400, 822])
def test_the_lerobot_set_shows_the_same_pictures(episodes, lerobot_set, index):
    item = lerobot_set[index]
    flat = [(episode, step) for episode in episodes for step in range(len(episode.action))]
    episode, step = flat[index]
    assert item["task"] == episode.instruction[step]
    for key, pictures in (("image", episode.image), ("image2", episode.wrist_image)):
        jpeg = np.asarray(Image.open(io.BytesIO(pictures[step])), dtype=float)
        video = item[f"observation.images.{key}"].permute(1, 2, 0).numpy() * 255
        assert np.abs(video - jpeg).mean() < 8


def test_names_are_those_of_the_bridge(folder, lerobot_set):
    mapping = load_mapping(Path(lerobot_dataset_rlds.__file__).parent / "presets" / "libero.yaml")
    bridge = RldsSource.open(folder / "rlds" / "libero_sample", mapping)
    assert len(bridge) == EPISODES
    for name in ("action", "observation.state"):
        assert bridge.features[name]["names"] == lerobot_set.meta.features[name]["names"]
    assert set(lerobot_set.meta.camera_keys) < set(bridge.features)
    assert (bridge.fps, bridge.robot_type) == (lerobot_set.fps, lerobot_set.meta.robot_type)
