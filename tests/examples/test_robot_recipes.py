"""Recipes of robots: every option exists, the numbers are the GR-2's, held-out episodes stay out.

Nothing is trained.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lerobot.configs.train import TrainPipelineConfig
from lerobot.utils.feature_utils import dataset_to_policy_features, hw_to_dataset_features
from recipes import EXAMPLES, bare_run, calls_of, require_known, understood

from lerobot_plugins.contracts import catalog

FOLDER = EXAMPLES / "robots"
RECORDING = FOLDER / "record_simulated_gr2.sh"
RECIPES = {path.stem.removeprefix("gr2_"): path for path in sorted(FOLDER.glob("gr2_*.sh"))}
# Policy -> variables that choose other commands than the defaults do.
VARIANTS: dict[str, list[dict[str, str]]] = {
    "smolvla": [{"BASE": "smolvla_gr2"}],
    "pi0": [{"FULL": "1", "COMPILE": "true"}],
    "pi05_comet": [{"FULL": "1"}],
    "paligemma_flow": [{"FULL": "1"}],
    "waypoint_vla": [{"FULL": "1"}],
}
GR2 = catalog.contract("fourier_gr2")


def dataset(folder: Path, episodes: int = 5) -> Path:
    """As much of a dataset as a recipe reads."""
    path = folder / "data" / "meta" / "info.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"fps": 30, "total_episodes": episodes, "total_frames": 900}, indent=4))
    return folder / "data"


def calls(policy: str, folder: Path, **variables: str) -> list[list[str]]:
    given = {"DATA": str(dataset(folder)), "OUT": str(folder / "out"), "REPO": "me/gr2"}
    return calls_of(RECIPES[policy], folder, **(given | variables))


def options(words: list[str]) -> dict[str, str]:
    """Option -> value."""
    return dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)


@pytest.mark.parametrize("policy", RECIPES)
def test_every_command_is_one_that_exists(policy, tmp_path):
    for variables in [{}, *VARIANTS.get(policy, [])]:
        kinds = [require_known(words, policy) for words in calls(policy, tmp_path, **variables)]
        assert kinds[-2:] == ["lerobot-train", "lerobot-eval"]


def test_the_recording_is_one_that_lerobot_and_the_doctor_know(tmp_path):
    kinds = [require_known(words) for words in calls_of(RECORDING, tmp_path, DATA="data")]
    assert kinds == ["lerobot-record", "lerobot-plugins doctor"]


@pytest.mark.parametrize("recipe", [*RECIPES.values(), RECORDING], ids=lambda path: path.stem)
def test_a_recipe_says_what_it_needs(recipe, tmp_path):
    run = bare_run(recipe, tmp_path)
    assert run.returncode != 0
    assert "name the folder of" in run.stderr
    assert not any(tmp_path.iterdir())


def policy_of(policy: str, folder: Path) -> Any:
    """The policy's configuration, with the features of what the simulated GR-2 records, depth included."""
    # The options of waypoint_vla are otherwise those of an adapter's base.
    variables = {"FULL": "1"} if policy == "waypoint_vla" else {}
    words = calls(policy, folder, **variables)[-2]
    config: Any = understood(TrainPipelineConfig, words[1:], policy).policy
    camera = GR2.cameras[0]
    size = (camera.height, camera.width)
    observed = dict.fromkeys(GR2.state_names, float) | {
        camera.name: (*size, 3),
        f"{camera.name}_depth": (*size, 1),
    }
    features = dataset_to_policy_features(
        hw_to_dataset_features(observed, "observation")
        | hw_to_dataset_features(dict.fromkeys(GR2.action_names, float), "action")
    )
    # As `make_policy` does it.
    config.output_features = {"action": features.pop("action")}
    config.input_features = config.input_features or features
    config.validate_features()
    return config


@pytest.mark.parametrize("policy", RECIPES)
def test_the_policy_sees_all_of_the_gr2_and_no_depth(policy, tmp_path):
    config = policy_of(policy, tmp_path)
    assert list(config.image_features) == [f"observation.images.{GR2.cameras[0].name}"]
    assert config.robot_state_feature.shape == (len(GR2.state),) == (45,)
    assert config.action_feature.shape == (len(GR2.action),) == (37,)
    # Stock networks cut nothing off: a vector that is wider than the network fails in its first layer.
    assert getattr(config, "max_action_dim", 37) >= 37
    if policy in ("smolvla", "pi0"):
        assert config.max_state_dim >= 45


def test_waypoints_are_joints_and_hands_no_grippers(tmp_path):
    config = policy_of("waypoint_vla", tmp_path)
    groups = [signal.group for signal in GR2.state]
    joints = [dim for dim, group in enumerate(groups) if group not in ("base", "imu")]
    assert list(config.robot.continuous) == joints
    assert (config.robot.grippers, config.robot.action_grippers) == ((), ())
    parts = [{groups[dim] for dim in arm} for arm in config.waypoint_rule.arms]
    assert parts == [{"left_arm", "left_hand"}, {"right_arm", "right_hand"}, {"head", "waist"}]
    assert sorted(sum(config.waypoint_rule.arms, ())) == joints


@pytest.mark.parametrize("policy", RECIPES)
def test_held_out_episodes_are_replayed_and_not_trained_on(policy, tmp_path):
    *_, train, replay = (options(words) for words in calls(policy, tmp_path, HELD="2"))
    assert train["dataset.episodes"] == "[2,3,4]"
    assert replay["env.episodes"] == "[0,1]"
    assert replay["eval.n_episodes"] == "2"
    assert train["dataset.root"] == replay["env.root"] == str(tmp_path / "data")
    assert replay["policy.path"] == f"{train['output_dir']}/checkpoints/last/pretrained_model"


def test_an_interrupted_run_goes_on(tmp_path):
    last = tmp_path / "out" / "checkpoints" / "last"
    last.mkdir(parents=True)
    for policy in RECIPES:
        words = calls(policy, tmp_path)[-2]
        config = f"--config_path={last}/pretrained_model/train_config.json"
        assert words == ["lerobot-train", config, "--resume=true"]


def test_too_few_episodes_are_refused(tmp_path):
    root = dataset(tmp_path, episodes=2)
    run = subprocess.run(
        ["bash", str(RECIPES["act"])],
        cwd=tmp_path,
        env=os.environ | {"DATA": str(root)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "has 2 episodes, and 2 of them are held out" in run.stderr
