"""Fields that all policies share, and what is wrong with their values."""

import pytest
from lerobot.configs import FeatureType, PolicyFeature
from stub_policy import stub_config

from lerobot_plugins.errors import ZooError

CAMERAS = {
    f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, 8, 8)) for name in ("left", "right")
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chunk_size": 4, "n_action_steps": 5}, r"n_action_steps=5, chunk_size=4(.|\n)*=4"),
        ({"chunk_size": 0, "n_action_steps": 0}, "chunk_size must be at least 1"),
        ({"n_action_steps": 0}, "n_action_steps must be at least 1"),
        ({"num_inference_steps": 0}, "num_inference_steps must be at least 1"),
        ({"prompt_max_len": 2}, "prompt_max_len"),
        ({"ema_decay": 0.0}, "ema_decay"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"dtype": "float16"}, "overflows in Gemma; use bfloat16"),
        ({"dtype": "torch.float16"}, "overflows in Gemma; use bfloat16"),
        ({"dtype": "int8"}, r"unknown dtype(.|\n)*set --policy\.dtype to one of these"),
        ({"dtype": "bfloat"}, r"unknown dtype(.|\n)*pass --policy\.dtype=bfloat16"),
        ({"image_resize": "crop"}, "unknown image_resize"),
        ({"tokenizer_padding": "shortest"}, "unknown tokenizer_padding"),
        ({"stats_source": "hub"}, "unknown stats_source"),
        ({"state_normalization": "z"}, "unknown state_normalization"),
        ({"action_normalization": "z"}, "unknown action_normalization"),
        ({"stats_source": "file"}, "stats_path and stats_source do not agree"),
        ({"stats_path": "stats.json"}, "stats_path and stats_source do not agree"),
        ({"normalization_mapping": {"STATE": "MIN_MAX"}}, "action_normalization"),
    ],
)
def test_wrong_values_are_refused_at_once(changes, message):
    with pytest.raises(ZooError, match=message):
        stub_config(**changes)


def test_the_references_spelling_of_dtype_is_accepted():
    assert stub_config(dtype="torch.bfloat16").dtype == "bfloat16"


def test_delta_indices():
    config = stub_config()
    assert config.observation_delta_indices is None
    assert config.action_delta_indices == [0, 1, 2, 3]
    assert config.reward_delta_indices is None
    assert stub_config(n_obs_steps=3).observation_delta_indices == [-2, -1, 0]


def test_widths_come_from_the_features():
    config = stub_config()
    assert (config.state_width, config.action_width) == (2, 2)
    assert stub_config(input_features=CAMERAS).state_width == 0


def test_cameras_are_resolved_once_and_stored():
    config = stub_config(input_features=CAMERAS)
    config.validate_features()
    assert config.camera_order == list(CAMERAS)
    chosen = stub_config(input_features=CAMERAS, camera_order=["observation.images.right"])
    chosen.validate_features()
    assert chosen.camera_order == ["observation.images.right"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"input_features": {"observation.state": PolicyFeature(FeatureType.STATE, (2,))}},
            r"at least one camera(.|\n)*observation\.state",
        ),
        ({"camera_order": ["observation.images.wrist"]}, r"wrist(.|\n)*front(.|\n)*rename_map"),
        ({"output_features": {}}, "needs an action feature"),
    ],
    ids=["no camera", "unknown camera", "no action"],
)
def test_features_that_do_not_serve_are_refused(changes, message):
    with pytest.raises(ZooError, match=message):
        stub_config(**changes).validate_features()


def test_other_state_features_are_listed():
    extra = {
        "observation.force": PolicyFeature(FeatureType.STATE, (6,)),
        "observation.environment_state": PolicyFeature(FeatureType.ENV, (3,)),
    }
    config = stub_config()
    config.input_features |= extra
    assert config.other_state_features == list(extra)
