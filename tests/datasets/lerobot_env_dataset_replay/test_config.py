"""The config: what it reads from the dataset, and what it refuses."""

import json
import shutil

import draccus
import gymnasium as gym
import pytest
from lerobot.configs.eval import EvalPipelineConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.envs import EnvConfig, make_env, make_env_pre_post_processors
from lerobot.envs.factory import make_env_config
from lerobot.envs.utils import env_to_policy_features
from lerobot.utils.feature_utils import dataset_to_policy_features

from lerobot_env_dataset_replay import DatasetReplayEnv
from lerobot_env_dataset_replay.info import dimension_names
from lerobot_plugins.errors import ZooError


def make_processors(config):
    """What `lerobot-train` asks an environment for when it starts."""
    return make_env_pre_post_processors(config, None)


def test_it_constructs_without_arguments_and_says_what_is_missing():
    config = make_env_config("dataset_replay")
    assert (config.features, config.features_map, config.gym_kwargs) == ({}, {}, {})
    for start in (make_env, make_processors):
        with pytest.raises(ZooError, match="needs a dataset"):
            start(config)


def test_a_policy_sees_exactly_the_features_of_the_dataset(root):
    config = DatasetReplayEnv(repo_id="local/replay", root=root)
    assert env_to_policy_features(config) == dataset_to_policy_features(
        LeRobotDataset("local/replay", root=root).features
    )
    assert config.fps == 10


def test_it_survives_the_command_line_and_json(root):
    arguments = ["type=dataset_replay", "repo_id=local/replay", f"root={root}", "episodes=[0,2]"]
    config = draccus.parse(EvalPipelineConfig, args=[f"--env.{argument}" for argument in arguments]).env
    assert config == DatasetReplayEnv(repo_id="local/replay", root=root, episodes=[0, 2])
    encoded = json.loads(json.dumps(draccus.encode(config, EnvConfig)))
    assert draccus.decode(EnvConfig, encoded) == config


def test_environments_are_synchronous_with_next_step_autoreset(root):
    config = DatasetReplayEnv(repo_id="local/replay", root=root, episodes=[1, 2])
    vector = make_env(config, n_envs=3, use_async_envs=True)["dataset_replay"][0]
    assert isinstance(vector, gym.vector.SyncVectorEnv)
    assert vector.metadata["autoreset_mode"] == gym.vector.AutoresetMode.NEXT_STEP
    assert vector.metadata["render_fps"] == 10
    assert vector.call("_max_episode_steps") == (9, 9, 9)
    vector.close()


@pytest.mark.parametrize(
    ("episodes", "message"),
    [([0, 3], "does not exist"), ([-1], "does not exist"), ([1, 1], "named twice"), ([], "must be named")],
)
def test_wrong_episodes_are_refused(root, episodes, message):
    with pytest.raises(ZooError, match=message) as caught:
        DatasetReplayEnv(repo_id="local/replay", root=root, episodes=episodes)
    assert "from 0 to 2" in str(caught.value)


def test_a_folder_without_a_dataset_is_refused_and_not_created(tmp_path):
    with pytest.raises(ZooError, match="finds no LeRobot dataset") as caught:
        DatasetReplayEnv(repo_id="local/replay", root=tmp_path / "nowhere")
    assert "--env.root" in str(caught.value)
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ZooError, match=r"notes\.txt"):
        DatasetReplayEnv(repo_id="local/replay", root=tmp_path)


def test_the_argument_parser_shows_the_reason(tmp_path):
    arguments = ["--env.type=dataset_replay", "--env.repo_id=local/replay", f"--env.root={tmp_path}"]
    with pytest.raises(draccus.ParsingError, match="finds no LeRobot dataset 'local/replay'"):
        draccus.parse(EvalPipelineConfig, args=arguments)


def test_without_root_the_dataset_is_looked_for_in_lerobots_home(root, tmp_path, monkeypatch):
    from lerobot_env_dataset_replay import info

    monkeypatch.setattr(info, "HF_LEROBOT_HOME", tmp_path)
    with pytest.raises(ZooError, match="hf download local/replay"):
        DatasetReplayEnv(repo_id="local/replay")
    (tmp_path / "local").mkdir()
    (tmp_path / "local/replay").symlink_to(root)
    assert "action" in DatasetReplayEnv(repo_id="local/replay").features


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v2.1"}, "convert_dataset_v21_to_v30"),
        ({"features": {}}, "one-dimensional actions"),
        ({"features": None}, "is damaged"),
    ],
)
def test_a_dataset_it_cannot_use_is_refused(root, tmp_path, change, message):
    (tmp_path / "meta").mkdir()
    info = json.loads((root / "meta/info.json").read_text())
    (tmp_path / "meta/info.json").write_text(json.dumps(info | change))
    with pytest.raises(ZooError, match=message):
        DatasetReplayEnv(repo_id="local/replay", root=tmp_path)


def test_a_tolerance_must_be_a_bound():
    for tolerance in (0, -1, float("nan")):
        with pytest.raises(ZooError, match="no error bound"):
            DatasetReplayEnv(tolerance=tolerance)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        ({"motors": ["a", "b"]}, ["a", "b"]),
        ([["a", "b"]], ["a", "b"]),
        (["a"], None),
        (["a", "a"], None),
        (None, None),
    ],
)
def test_dimension_names_as_datasets_write_them(names, expected):
    assert dimension_names({"shape": (2,), "names": names}) == expected


def test_it_is_registered_under_its_name():
    assert EnvConfig.get_choice_class("dataset_replay") is DatasetReplayEnv


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max": [-9.0, 9.0, 9.0, 9.0], "min": [9.0, -9.0, -9.0, -9.0]}, "no max below its min"),
        ({"mean": [0.0]}, "4 finite values each"),
        ({"min": None}, "gives no statistics"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(root, tmp_path, change, message):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    stats = json.loads((copy / "meta/stats.json").read_text())
    stats["action"] |= change
    (copy / "meta/stats.json").write_text(json.dumps(stats))
    with pytest.raises(ZooError, match=message) as caught:
        make_env(DatasetReplayEnv(repo_id="local/replay", root=copy))
    assert "recompute_stats" in str(caught.value)
