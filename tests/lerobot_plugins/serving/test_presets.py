"""What OmniGibson's evaluation of BEHAVIOR-1K sends reaches the policy as it was trained on it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from lerobot.configs import FeatureType, PolicyFeature
from omnigibson_client import CAMERA_KEYS, simulated

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError
from lerobot_plugins.serving.presets import observation_map, read_tasks

TASKS = {0: "turn on the radio", 49: "make a pizza"}


def config(names=("rgb.head", "rgb.left_wrist", "rgb.right_wrist"), state=23, action=23):
    features = {f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, 8, 8)) for name in names}
    features["observation.state"] = PolicyFeature(FeatureType.STATE, (state,))
    return SimpleNamespace(
        input_features=features,
        output_features={"action": PolicyFeature(FeatureType.ACTION, (action,))},
    )


@pytest.mark.parametrize(
    "names",
    [
        ("rgb.head", "rgb.left_wrist", "rgb.right_wrist"),
        ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"),
    ],
)
def test_cameras_and_state_find_their_places(names):
    sent = simulated(1, task_id=49)
    batch = observation_map(config(names), {}, tasks=TASKS, preset="behavior1k").batch(sent)
    for name, key in zip(names, CAMERA_KEYS.values(), strict=True):
        picture = batch[f"observation.images.{name}"]
        np.testing.assert_array_equal(picture[0] * 255, sent[key][..., :3].transpose(2, 0, 1))
    expected = r1pro.state_from_proprioception(sent["robot_r1::proprio"])
    np.testing.assert_array_equal(batch["observation.state"][0], expected)
    assert batch["task"] == ["make a pizza"]


def test_a_policy_of_the_recorded_numbers_gets_all_of_them():
    sent = simulated(1)
    batch = observation_map(config(state=256), {}, "go", preset="behavior1k").batch(sent)
    np.testing.assert_array_equal(batch["observation.state"][0], sent["robot_r1::proprio"])


def test_a_given_key_goes_before_the_presets():
    given = {"other::rgb": "observation.images.front"}
    found = observation_map(config(("rgb.head", "front")), given, "go", preset="behavior1k")
    assert found.keys("observation.images.front") == ("other::rgb",)
    assert found.keys("observation.images.rgb.head") == (CAMERA_KEYS["head"],)


def test_what_does_not_fit_is_refused_at_the_start():
    with pytest.raises(ZooError, match=r"which camera[^$]*--map KEY=observation.images.front"):
        observation_map(config(("front",)), {}, preset="behavior1k")
    with pytest.raises(ZooError, match="does not act as R1 Pro"):
        observation_map(config(action=7), {}, preset="behavior1k")


def test_the_task_is_the_one_that_training_read(tmp_path):
    path = tmp_path / "tasks.jsonl"
    rows = [{"task_index": k, "task_name": f"t{k}", "task": v} for k, v in TASKS.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_tasks(path) == TASKS
    found = observation_map(config(), {}, tasks=TASKS, preset="behavior1k")
    assert found.batch(simulated(0) | {"prompt": "wave"})["task"] == ["wave"]
    with pytest.raises(ZooError, match="names no task"):
        found.batch(simulated(0, task_id=7))
    path.write_text('{"task_index": "0", "task": "go"}\n')
    with pytest.raises(ZooError, match="no task"):
        read_tasks(path)
    path.write_text("{")
    with pytest.raises(ZooError, match="cannot be read"):
        read_tasks(path)
