"""A chunk of actions from picture files, prompt and state, of any policy type."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.policies.factory import make_policy_config
from PIL import Image
from tiny_policies import ACTION_WIDTH, STATE_WIDTH, TASKS, TINY, processors, tiny_policy, toy_statistics
from toy_data import CAMERAS

from lerobot_plugins.cli.main import main
from lerobot_plugins.inference.sample import Sample, windows

STATE = [str(value) for value in np.linspace(-0.4, 1, STATE_WIDTH).round(3)]


def act():
    """A stock policy."""
    features = {f"observation.images.{c}": PolicyFeature(FeatureType.VISUAL, (3, 64, 64)) for c in CAMERAS}
    config = make_policy_config(
        "act",
        device="cpu",
        push_to_hub=False,
        input_features=features | {"observation.state": PolicyFeature(FeatureType.STATE, (STATE_WIDTH,))},
        output_features={"action": PolicyFeature(FeatureType.ACTION, (ACTION_WIDTH,))},
        normalization_mapping=dict.fromkeys(("STATE", "ACTION"), NormalizationMode.MIN_MAX)
        | {"VISUAL": NormalizationMode.IDENTITY},
        chunk_size=6,
        n_action_steps=2,
        dim_model=32,
        dim_feedforward=32,
        n_heads=4,
        use_vae=False,
        pretrained_backbone_weights=None,
    )
    torch.manual_seed(0)
    return get_policy_class("act")(config).eval()


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("policies")
    found = {}
    for name in [*TINY, "act"]:
        policy = act() if name == "act" else tiny_policy(name, num_inference_steps=2)
        pipelines = (
            make_pre_post_processors(policy.config, dataset_stats=toy_statistics())
            if name == "act"
            else processors(policy.config)
        )
        found[name] = root / name
        policy.save_pretrained(root / name)
        for pipeline in pipelines:
            pipeline.save_pretrained(root / name)
    return found


@pytest.fixture
def pictures(tmp_path) -> list[str]:
    rng = np.random.default_rng(0)
    options = []
    for camera in CAMERAS:
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / f"{camera}.png")
        options += ["--image", f"{camera}={tmp_path / camera}.png"]
    return options


def infer(capsys, folder, *options) -> dict:
    assert main(["infer", str(folder), *options]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("policy_type", [*TINY, "act"])
def test_every_policy_type_predicts_raw_actions_the_same_for_the_same_seed(
    policy_type, folders, pictures, capsys
):
    options = [*pictures, "--prompt", TASKS[0], "--state", *STATE]
    one = infer(capsys, folders[policy_type], *options)
    actions = np.array(one["actions"])
    assert actions.shape == (1, one["horizon"], ACTION_WIDTH)
    assert one["names"] == [f"action_{d}" for d in range(ACTION_WIDTH)]
    assert infer(capsys, folders[policy_type], *options) == one
    other = infer(capsys, folders[policy_type], *options, "--seed=1")
    assert other["actions"] != one["actions"] or policy_type in ("act", "waypoint_vla")
    assert np.isfinite(actions).all()
    if policy_type == "paligemma_flow":  # clipped to the dataset's range, whose largest number is 2
        stats = toy_statistics()["action"]
        assert (actions >= stats["min"] - 1e-5).all()
        assert (actions <= stats["max"] + 1e-5).all()
        assert np.abs(actions).max() > 1  # not normalised ones


def test_a_sample_folder_gives_what_the_options_give(folders, pictures, tmp_path, capsys):
    (tmp_path / "prompt.txt").write_text(TASKS[0] + "\n")
    (tmp_path / "state.txt").write_text("[" + ", ".join(STATE) + "]\n")
    (tmp_path / "action.txt").write_text("0 " * ACTION_WIDTH)
    options = [*pictures, "--prompt", TASKS[0], "--state", *STATE]
    direct = infer(capsys, folders["paligemma_flow"], *options)
    output = tmp_path / "out"
    sampled = infer(capsys, folders["paligemma_flow"], "--sample", str(tmp_path), "--output", str(output))
    assert sampled["actions"] == direct["actions"]
    assert sampled["recorded_mae"] == pytest.approx(np.abs(sampled["actions"][0][0]).mean(), rel=1e-5)
    assert json.loads((output / "prediction.json").read_text()) == sampled
    rows = list(csv.DictReader((output / "predictions.csv").open()))
    assert len(rows) == sampled["horizon"]
    assert float(rows[3]["pred_action_2"]) == pytest.approx(sampled["actions"][0][3][2])
    assert "seed: 0" in (output / "inference_log.txt").read_text()


def test_a_sequence_is_seen_in_the_order_of_time(pictures, tmp_path):
    """A policy that sees two steps: of one observation the first stands in, flagged, of three the newest
    two are seen, or each pair in turn."""
    width, camera = 2, f"observation.images.{CAMERAS[0]}"
    config = SimpleNamespace(
        image_features={camera: PolicyFeature(FeatureType.VISUAL, (3, 64, 64))},
        robot_state_feature=PolicyFeature(FeatureType.STATE, (width,)),
        observation_delta_indices=[-1, 0],
    )
    paths = []
    for step in range(3):
        paths.append(tmp_path / f"{step}.png")
        Image.fromarray(np.full((64, 64, 3), 51 * step, np.uint8)).save(paths[-1])
    states = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]

    def seen(count: int, state: list[float], every: bool = False, notes=None):
        sample = Sample({CAMERAS[0]: paths[:count]}, "go", state)
        found = list(windows(sample, config, every, [] if notes is None else notes))
        assert all(one[camera].shape == (1, 2, 3, 64, 64) for one in found)
        return [
            (
                one[camera][0, :, 0, 0, 0].mul(5).round().tolist(),
                one["observation.state"][0, :, 0].tolist(),
                one[f"{camera}_is_pad"][0].tolist(),
            )
            for one in found
        ]

    assert seen(3, states) == [([1, 2], [1, 2], [False, False])]
    assert seen(3, states, every=True) == [
        ([0, 0], [0, 0], [True, False]),
        ([0, 1], [0, 1], [False, False]),
        ([1, 2], [1, 2], [False, False]),
    ]
    notes: list[str] = []
    assert seen(1, states[:2], notes=notes) == [([0, 0], [0, 0], [True, False])]
    assert "stands in" in notes[0]
    assert seen(3, states[:2], notes=notes) == [([1, 2], [0, 0], [False, False])]
    assert "repeated" in notes[-1]


def test_of_a_sequence_a_policy_that_sees_one_step_takes_the_newest(folders, pictures, tmp_path, capsys):
    for camera in CAMERAS:
        Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(tmp_path / f"{camera}_old.png")
    older = [word.replace(".png", "_old.png") for word in pictures]
    rest = ["--prompt", TASKS[0], "--state", *STATE]
    folder = folders["paligemma_flow"]
    alone = infer(capsys, folder, *pictures, *rest)
    assert infer(capsys, folder, *older, *pictures, *rest)["actions"] == alone["actions"]
    every = infer(capsys, folder, *older, *pictures, *rest, "--every")["actions"]
    assert every[1:] == alone["actions"]
    assert every[0] != every[1]


def changed(options: list[str], before: str, after: str) -> list[str]:
    return [word.replace(before, after) for word in options]


def test_what_does_not_fit_is_told(folders, pictures, tmp_path, capsys):
    state, prompt = ["--state", *STATE], ["--prompt", TASKS[0]]
    camera = CAMERAS[0]
    (tmp_path / "text.png").write_text("no picture")
    wrong = {
        "not those of the policy's cameras": [*changed(pictures, f"{camera}=", "other="), *state, *prompt],
        f"'{camera}' is missing": [*pictures[2:], *state, *prompt],
        "wrong width": [*pictures, *state[:-1], *prompt],
        "no state": [*pictures, *prompt],
        "no such file": [*changed(pictures, f"{camera}.png", "gone.png"), *state, *prompt],
        "no picture that can be read": [*changed(pictures, f"{camera}.png", "text.png"), *state, *prompt],
        "different numbers of pictures": [*pictures, *pictures[:2], *state, *prompt],
        "names no camera": [*pictures, "--image", "x.png", *state, *prompt],
        "no prompt": [*pictures, *state],
        "holds no sample": ["--sample", str(tmp_path / "nothing"), *prompt],
    }
    for text, options in wrong.items():
        assert main(["infer", str(folders["paligemma_flow"]), *options]) == 2, text
        assert text in capsys.readouterr().err
    assert main(["infer", str(tmp_path), *pictures, *state, *prompt]) == 2
    assert "no policy folder" in capsys.readouterr().err
