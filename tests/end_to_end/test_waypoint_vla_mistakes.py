"""Wrong input to stock `lerobot-train` on `waypoint_vla`: what is said, and that no checkpoint is written."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from training import Run, train
from waypoint import WAYPOINT

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.dataset import make_waypoints
from lerobot_plugins.waypoints.rule import PRESETS


@pytest.fixture(scope="module")
def root(toy_root, tmp_path_factory) -> Path:
    return Path(shutil.copytree(toy_root, tmp_path_factory.mktemp("waypoints") / "toy"))


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("mistakes")
    return train(root, folder / "run", *WAYPOINT, "--steps=1", "--save_freq=1")


def refused(root: Path, folder: Path, *options: str, kind: type[Exception] = ZooError) -> str:
    """What `lerobot-train` says, which must stop before it writes a checkpoint."""
    with pytest.raises(kind) as caught:
        train(root, folder / "run", *options, "--steps=1")
    assert not (folder / "run/checkpoints").exists()
    return str(caught.value)


def has(message: str, *words: object) -> None:
    """Fail unless the message holds all words."""
    missing = [str(word) for word in words if str(word) not in message]
    assert not missing, f"{missing} not in: {message}"


def test_a_dataset_without_the_presets_gripper(root, tmp_path):
    message = refused(root, tmp_path, *WAYPOINT, "--policy.robot_preset=calvin")
    has(message, "observation.state does not have", "14", "dims from 0 to 7", "--policy.robot_preset")


def test_dims_that_nothing_is_said_about(root, tmp_path):
    message = refused(root, tmp_path, *WAYPOINT, "--policy.continuous_state_dims=[0,1,2]")
    has(message, "not all dims", "[3, 4, 5]", "continuous, gripper or ignored")


def test_a_free_robot_without_a_threshold(root, tmp_path):
    options = [option for option in WAYPOINT if "preset" not in option and "threshold" not in option]
    has(refused(root, tmp_path, *options), "--policy.waypoint_threshold", "--policy.robot_preset")


def test_kept_waypoints_that_are_too_long(root, tmp_path):
    rule = replace(PRESETS["libero"], threshold=99.0, gripper_dims=(), max_duration=None)
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    make_waypoints(copy, rule, "long")
    message = refused(copy, tmp_path, *WAYPOINT, "--policy.waypoint_table=long", "--policy.max_duration=4")
    has(message, "episode 0", "8 frames", "at most 4", "--max-duration=4")


def test_kept_waypoints_of_another_name(trained, root, tmp_path):
    has(
        refused(root, tmp_path, *WAYPOINT, "--policy.waypoint_table=mine"),
        "no waypoints named mine",
        "libero",
    )


def test_an_instruction_that_is_too_long(root, tmp_path):
    message = refused(root, tmp_path, *WAYPOINT, "--policy.prompt_max_len=40")
    has(message, "never cut", "--policy.prompt_max_len=", "pick up the soup")


def test_statistics_of_another_robot(root, tmp_path):
    fields = ("mean", "std", "min", "max", "q01", "q99")
    content = {"action": {field: [0.5] * 15 for field in fields}, "num_transitions": 3}
    path = tmp_path / "dataset_statistics.json"
    path.write_text(json.dumps(content))
    message = refused(root, tmp_path, *WAYPOINT, "--policy.stats_source=file", f"--policy.stats_path={path}")
    has(message, "action", path, "15 dimensions", "7 dimensions")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--policy.token_layout=bins256", ("token_layout shapes the network", "bins300")),
        ("--policy.duration_mode=adarms_concat", ("duration_mode shapes the network", "token")),
    ],
)
def test_a_checkpoint_of_another_network(trained, root, tmp_path, option, words):
    more = (f"--policy.path={trained.policy()}", "--policy.push_to_hub=false", option)
    has(refused(root, tmp_path, *more), *words, "--policy.init_from")


def test_a_checkpoint_whose_robot_is_described_otherwise(trained, root, tmp_path):
    """The weights fit, the tokens would mean something else. LeRobot makes a ValueError of a step's text."""
    more = (f"--policy.path={trained.policy()}", "--policy.push_to_hub=false")
    message = refused(
        root,
        tmp_path,
        *more,
        "--policy.continuous_state_dims=[0,1,2,3,4]",
        "--policy.ignored_state_dims=[5,7]",
        kind=ValueError,
    )
    has(message, "continuous_state_dims cannot change", "[0, 1, 2, 3, 4, 5], as in the checkpoint")
