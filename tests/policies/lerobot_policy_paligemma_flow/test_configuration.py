"""Values and data that `paligemma_flow` refuses, and what it derives from the rest."""

import pytest
from lerobot.configs import FeatureType, PolicyFeature
from tiny_policies import tiny_config

from lerobot_plugins.errors import ZooError

TYPE = "paligemma_flow"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action_expert_variant": "gemma_300m"}, "dit_165m or tiny"),
        ({"head_width": 130}, r"head_width=130, head_num_heads=4"),
        ({"flow_repeats": 0}, "flow_repeats"),
        ({"eval_time_samples": 0}, "eval_time_samples"),
        ({"time_sampling": "cosine"}, "unknown time_sampling"),
        ({"noise_distribution": "cauchy"}, "unknown noise_distribution"),
    ],
)
def test_wrong_values_are_refused_at_once(changes, message):
    with pytest.raises(ZooError, match=message):
        tiny_config(TYPE, **changes)


def without_state() -> dict[str, PolicyFeature]:
    features = tiny_config(TYPE).input_features
    return {key: feature for key, feature in features.items() if key != "observation.state"}


def with_force() -> dict[str, PolicyFeature]:
    return tiny_config(TYPE).input_features | {"observation.force": PolicyFeature(FeatureType.STATE, (6,))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action_dim": 50}, r"action_dim=50(.|\n)*chunk_size 8 x action width 7 = 56"),
        ({"action_dim_weights": [1.0] * 6}, r"got: +6(.|\n)*7, one weight per action dimension"),
        ({"input_features": without_state()}, r"use_state_input=false"),
        ({"input_features": with_force()}, r"observation\.force"),
    ],
    ids=["action_dim", "weights", "no state", "another state"],
)
def test_data_that_contradicts_is_refused(changes, message):
    with pytest.raises(ZooError, match=message):
        tiny_config(TYPE, **changes).validate_features()


def test_a_right_action_dim_passes():
    tiny_config(TYPE, action_dim=56, action_dim_weights=[1.0] * 7).validate_features()


def test_without_state_input_no_state_is_needed():
    tiny_config(TYPE, use_state_input=False, input_features=without_state()).validate_features()


def test_without_the_auxiliary_camera_the_first_remains():
    config = tiny_config(TYPE, use_aux_camera=False)
    config.validate_features()
    assert config.camera_order == ["observation.images.image"]


def test_head_fields_override_the_variant():
    assert tiny_config(TYPE).head_geometry == (128, 4, 4)
    assert tiny_config(TYPE, head_depth=2).head_geometry == (128, 2, 4)


@pytest.mark.parametrize(
    ("mode", "bounded"), [("min_max", True), ("quantile", True), ("mean_std", False), ("identity", False)]
)
def test_which_actions_are_bounded(mode, bounded):
    assert tiny_config(TYPE, action_normalization=mode).bounded_actions is bounded


def test_the_presets_of_the_optimizer_are_the_references():
    config = tiny_config(TYPE)
    optimizer = config.get_optimizer_preset()
    assert (optimizer.lr, optimizer.betas, optimizer.weight_decay, optimizer.grad_clip_norm) == (
        1e-4,
        (0.9, 0.999),
        0.01,
        1.0,
    )
    assert config.get_scheduler_preset().num_warmup_steps == 500
