"""Presets of paligemma_flow are files that lerobot-train takes as --config_path; options overrule them."""

import draccus
import pytest
from lerobot.configs.train import TrainPipelineConfig
from recipes import EXAMPLES

PRESETS = sorted((EXAMPLES / "paligemma_flow").glob("*.yaml"))


def parsed(path, *options):
    dataset = ("--dataset.repo_id=me/data",)
    return draccus.parse(TrainPipelineConfig, config_path=path, args=[*dataset, *options]).policy


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_understood_and_overruled(path):
    policy = parsed(path, "--policy.chunk_size=16", "--policy.n_action_steps=4")
    assert policy.type == "paligemma_flow"
    assert (policy.chunk_size, policy.n_action_steps) == (16, 4)


def test_each_preset_sets_what_it_says():
    policies = {path.stem: parsed(path) for path in PRESETS}
    assert sorted(policies) == ["default", "frozen_vlm", "reference_compat"]
    reference = policies["reference_compat"]
    assert (reference.n_obs_steps, reference.history_mode, reference.use_aux_camera) == (
        4,
        "per_frame",
        False,
    )
    assert (reference.head_type, reference.noise_distribution) == ("mlp", "uniform")
    frozen = policies["frozen_vlm"]
    assert (frozen.freeze_vision_tower, frozen.freeze_language_model, frozen.vlm_num_layers) == (
        True,
        True,
        12,
    )
    default = policies["default"]
    assert (default.n_obs_steps, default.head_type, default.freeze_language_model) == (1, "dit", False)
