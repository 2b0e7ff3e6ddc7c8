"""`pi05_comet`: which features it takes, openpi's numbers, what it refuses."""

from typing import Any

import pytest
from lerobot.configs import FeatureType, PolicyFeature
from tiny_policies import tiny_config

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError
from lerobot_policy_pi05_comet.configuration_pi05_comet import PI05CometConfig

TYPE = "pi05_comet"


def resolved(**changes: Any) -> PI05CometConfig:
    config = tiny_config(TYPE, **changes)
    config.validate_features()
    return config


def behavior1k_features() -> dict[str, PolicyFeature]:
    """As a BEHAVIOR-1K set has them, with depth and more vectors than the policy sees."""
    sizes = {"head": 720, "left_wrist": 480, "right_wrist": 480}
    features = {}
    for camera, size in sizes.items():
        features[f"observation.images.depth.{camera}"] = PolicyFeature(FeatureType.VISUAL, (1, size, size))
        features[f"observation.images.rgb.{camera}"] = PolicyFeature(FeatureType.VISUAL, (3, size, size))
    return features | {
        "observation.state": PolicyFeature(FeatureType.STATE, (256,)),
        "observation.cam_rel_poses": PolicyFeature(FeatureType.STATE, (21,)),
    }


def action(width: int) -> dict[str, PolicyFeature]:
    return {"action": PolicyFeature(FeatureType.ACTION, (width,))}


def test_the_published_numbers():
    config = PI05CometConfig(device="cpu")
    assert (config.chunk_size, config.n_action_steps, config.prompt_max_len) == (32, 32, 512)
    assert (config.max_action_dim, config.num_inference_steps) == (32, 10)
    optimizer = config.get_optimizer_preset()
    assert (optimizer.lr, optimizer.betas, optimizer.eps) == (2.5e-5, (0.9, 0.95), 1e-8)
    assert (optimizer.weight_decay, optimizer.grad_clip_norm) == (1e-10, 1.0)
    schedule = config.get_scheduler_preset()
    assert schedule.lr(0, 30_000) == pytest.approx(2.497502e-8, rel=1e-6)
    assert schedule.lr(15_500, 30_000) == pytest.approx(1.25e-5)
    assert schedule.lr(30_000, 30_000) == 0


def test_behavior1k_features_are_sorted_out():
    config = resolved(input_features=behavior1k_features(), output_features=action(23))
    assert config.camera_order == [
        f"observation.images.rgb.{c}" for c in ("head", "left_wrist", "right_wrist")
    ]
    assert set(config.input_features) == {*config.camera_order, "observation.state"}
    assert config.state_width == 23
    assert config.averaged_around == [14, 22]


def test_a_wide_state_may_be_meant_as_it_is():
    config = resolved(input_features=behavior1k_features(), output_features=action(23), state_layout="as_is")
    assert config.state_width == 256


def test_grippers_are_found_by_name():
    assert resolved(action_feature_names=["x", "Gripper.pos", *"abcde"]).averaged_around == [1]
    assert resolved(newest_chunk_dims=[6]).averaged_around == [6]
    assert resolved().averaged_around == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output_features": action(40)}, r"40 dims(.|\n)*--policy\.max_action_dim=40"),
        ({"camera_order": ["observation.images.top"]}, r"observation\.images\.top"),
        ({"newest_chunk_dims": [7]}, "0 to 6"),
        (
            {"camera_order": ["observation.images.depth.head"], "input_features": behavior1k_features()},
            "3 channels",
        ),
    ],
)
def test_features_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ZooError, match=words):
        resolved(**changes)


def test_a_prompt_with_a_state_needs_a_state():
    features = {k: v for k, v in behavior1k_features().items() if "images" in k}
    with pytest.raises(ZooError, match=r"--policy\.discrete_state_input=false"):
        resolved(input_features=features)
    assert resolved(input_features=features, discrete_state_input=False).state_width == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"control_mode": "receeding_horizon"},
        {"state_layout": "r1"},
        {"n_obs_steps": 2},
        {"replan_interval": 0},
        {"ensemble_size": 0},
        {"n_action_steps": 5, "control_mode": "receding_temporal"},
        {"n_action_steps": 1, "control_mode": "temporal_ensemble"},
        {"prompt_template": "do {task}"},
        {"action_expert_variant": "gemma_2b"},
    ],
)
def test_wrong_values_are_refused(changes):
    with pytest.raises(ZooError, match=next(iter(changes))):
        tiny_config(TYPE, **changes)


def test_the_layout_follows_the_robot():
    assert len(r1pro.STATE_NAMES) == len(r1pro.ACTION_NAMES) == 23
