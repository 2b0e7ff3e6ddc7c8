"""A published humanoid recording: one video camera, 26 dimensions, names in a nested list."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.envs import preprocess_observation
from lerobot.envs.utils import NEW_ROLLOUT_OPTION
from lerobot.scripts.convert_dataset_v21_to_v30 import convert_dataset

from lerobot_env_dataset_replay import DatasetReplayEnv
from lerobot_env_dataset_replay.env import make_vector_env
from lerobot_plugins.errors import ZooError

SOURCE = Path(__file__).parents[4] / "shared/data/lerobot/g1_v21"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SOURCE.is_dir(), reason="the recording is not beside the checkout"),
]


def test_replaying_a_recorded_humanoid_with_its_own_actions(tmp_path):
    root = tmp_path / "g1"
    shutil.copytree(SOURCE, root)
    with pytest.raises(ZooError, match="convert_dataset_v21_to_v30"):
        DatasetReplayEnv(repo_id="local/g1", root=root)
    convert_dataset("local/g1", root=root, push_to_hub=False)
    dataset = LeRobotDataset("local/g1", root=root, video_backend="pyav")
    config = DatasetReplayEnv(repo_id="local/g1", root=root, episodes=[2], report_dir=tmp_path / "report")
    vector = make_vector_env(config, 1)
    observation, _ = vector.reset(options={NEW_ROLLOUT_OPTION: True})
    episode = dataset.meta.episodes[2]
    for index in range(episode["dataset_from_index"], episode["dataset_to_index"]):
        item, batch = dataset[index], preprocess_observation(observation)
        for key in ("observation.images.cam_high", "observation.state"):
            assert torch.equal(batch[key][0], item[key])
        observation, *_ = vector.step(item["action"].numpy()[None])
    vector.close()
    metrics = json.loads((tmp_path / "report/metrics.json").read_text())
    assert metrics["complete"]
    assert metrics["executed"]["raw"]["max_abs"] == 0
    assert metrics["dataset"]["action_names"][0] == "kLeftShoulderPitch"
    assert metrics["baselines"]["hold"]["reason"] is None
