"""What a policy gets in an evaluation is what it gets in training, bit by bit."""

import numpy as np
import pytest
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.envs import make_env, make_env_pre_post_processors, preprocess_observation
from lerobot.envs.utils import NEW_ROLLOUT_OPTION
from lerobot.processor import TransitionKey, create_transition
from replay_data import write_replay_dataset

from lerobot_env_dataset_replay import DatasetReplayEnv
from lerobot_env_dataset_replay.observations import ObservationLayout, RestoreObservations

HWC = ["height", "width", "channels"]
ODD_FEATURES = {
    "observation.image": {"dtype": "image", "shape": (64, 64, 3), "names": HWC},
    "observation.environment_state": {"dtype": "float32", "shape": (5,), "names": None},
    "observation.mode": {"dtype": "int64", "shape": (1,), "names": None},
    "observation.agent_pos": {"dtype": "float32", "shape": (2,), "names": None},
    "observation.points": {"dtype": "float32", "shape": (3, 2), "names": None},
    "observation.contact": {"dtype": "bool", "shape": (2,), "names": None},
    "observation.note": {"dtype": "string", "shape": (1,), "names": None},
}


def first_observations(config, players, steps):
    """What stock `lerobot-eval` hands to the policy's preprocessor, step by step."""
    vector = make_env(config, n_envs=players)["dataset_replay"][0]
    preprocessor, _ = make_env_pre_post_processors(config, None)
    observation, _ = vector.reset(options={NEW_ROLLOUT_OPTION: True})
    for step in range(steps):
        yield preprocessor(preprocess_observation(observation))
        if step + 1 < steps:
            observation, *_ = vector.step(np.zeros((players, 4), np.float32))
    vector.close()


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("videos", [False, True])
def test_every_frame_equals_the_dataset(tmp_path, videos):
    root = tmp_path / "data"
    dataset = write_replay_dataset(root, (3, 4), videos=videos)
    in_training = LeRobotDataset("local/replay", root=root, video_backend="pyav", return_uint8=True)
    config = DatasetReplayEnv(
        repo_id="local/replay",
        root=root,
        episodes=[1, 0],
        report_dir=tmp_path / "report",
        video_backend="pyav",
    )
    for frame, batch in enumerate(first_observations(config, players=2, steps=3)):
        for row, first in ((0, 3), (1, 0)):
            item, uint8_item = dataset[first + frame], in_training[first + frame]
            for key in (key for key in item if key.startswith("observation.")):
                assert batch[key].dtype == item[key].dtype
                assert torch.equal(batch[key][row], item[key]), key
                if uint8_item[key].dtype == torch.uint8:
                    assert torch.equal(batch[key][row], uint8_item[key].float() / 255)


@pytest.mark.usefixtures("without_figures")
def test_features_that_stock_preprocessing_renames_come_back(tmp_path, caplog):
    root = tmp_path / "data"
    dataset = write_replay_dataset(root, (3, 2), more_features=ODD_FEATURES)
    config = DatasetReplayEnv(repo_id="local/replay", root=root, report_dir=tmp_path / "report")
    (batch,) = first_observations(config, players=2, steps=1)
    collated = torch.utils.data.default_collate(
        [{k: v for k, v in dataset[first].items() if k.startswith("observation.")} for first in (0, 3)]
    )
    assert "observation.note" in caplog.text
    del collated["observation.note"]
    assert {key for key in batch if key.startswith("observation.")} == set(collated)
    for key, value in collated.items():
        assert (batch[key].dtype, batch[key].shape) == (value.dtype, value.shape), key
        assert torch.equal(batch[key], value), key


def test_depth_keeps_its_type():
    """Depth maps are float32 (1, H, W) in the dataset and pass without a detour through uint8."""
    depth = {"dtype": "video", "shape": (32, 48, 1), "names": HWC, "info": {"is_depth_map": True}}
    layout = ObservationLayout.of({"observation.images.depth": depth})
    assert layout.cameras == {}
    item = {"observation.images.depth": torch.rand(1, 32, 48) * 2000}
    raw = {key: value[None] for key, value in layout.raw(item).items()}
    restored = layout.restore(preprocess_observation(raw))
    assert torch.equal(restored["observation.images.depth"], item["observation.images.depth"][None])


def test_the_restoring_step_leaves_the_rest_alone(root):
    layout = ObservationLayout.of(LeRobotDataset("local/replay", root=root, video_backend="pyav").features)
    observation = {
        "observation.images.top": torch.zeros(1, 3, 4, 4),
        "observation.images.wrist": torch.zeros(1, 3, 4, 4),
        "observation.observation.place": torch.ones(1, 2),
        "observation.state": torch.ones(1, 4),
    }
    transition = create_transition(observation=observation, complementary_data={"task": ["x"]})
    restored = RestoreObservations(layout)(transition)
    assert set(restored[TransitionKey.OBSERVATION]) == {
        "observation.images.top",
        "observation.images.wrist",
        "observation.place",
        "observation.state",
    }
    assert restored[TransitionKey.COMPLEMENTARY_DATA] == {"task": ["x"]}
