"""Configs: LeRobot's naming conventions, the shared fields, JSON, the frozen surface."""

import inspect
import json

import pytest
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.policies.factory import make_policy_config
from lerobot.policies.pretrained import PreTrainedPolicy
from surface import REMEDY, SNAPSHOT, surface_of
from tiny_policies import TINY, policy_types, tiny_config

SHARED_FIELDS = (
    *("chunk_size", "n_action_steps", "n_obs_steps", "dtype", "camera_order", "image_resize"),
    *("tokenizer_name", "paligemma_variant", "action_expert_variant", "init_from", "freeze_vision_tower"),
    *("freeze_language_model", "gradient_checkpointing", "num_inference_steps", "stats_source", "eval_seed"),
    "ema_decay",
)


def test_every_type_is_in_the_table():
    assert set(policy_types()) == set(TINY)
    assert policy_types(), "the distribution registers policies"


def test_defaults_construct_and_are_never_tiny(policy_type):
    config = make_policy_config(policy_type)
    assert config.type == policy_type
    assert config.paligemma_variant != "tiny"
    assert config.action_expert_variant != "tiny"
    assert config.n_action_steps <= config.chunk_size


def test_the_shared_fields_are_there(policy_type):
    config = make_policy_config(policy_type)
    assert [name for name in SHARED_FIELDS if not hasattr(config, name)] == []


@pytest.mark.parametrize("build", [make_policy_config, tiny_config], ids=["defaults", "tiny"])
def test_configs_survive_json(policy_type, build, tmp_path):
    config = build(policy_type)
    config._save_pretrained(tmp_path)
    assert PreTrainedConfig.from_pretrained(tmp_path) == config


def test_command_line_overrides_reach_a_saved_config(policy_type, tmp_path):
    tiny_config(policy_type)._save_pretrained(tmp_path)
    loaded = PreTrainedConfig.from_pretrained(
        tmp_path, cli_overrides=["--n_action_steps=3", "--dtype=bfloat16", "--freeze_vision_tower=true"]
    )
    assert (loaded.n_action_steps, loaded.dtype, loaded.freeze_vision_tower) == (3, "bfloat16", True)


def test_the_policy_class_is_found_by_convention(policy_type):
    policy_class = get_policy_class(policy_type)
    config_class = type(make_policy_config(policy_type))
    assert issubclass(policy_class, PreTrainedPolicy)
    assert policy_class.__name__ == config_class.__name__.replace("Config", "Policy")
    assert (policy_class.name, policy_class.config_class) == (policy_type, config_class)
    annotation = inspect.signature(policy_class.__init__).parameters["config"].annotation
    assert annotation is config_class, "LeRobot's own tests read the class itself, not its name"


def test_the_processor_factory_is_found_by_convention(policy_type):
    before, after = make_pre_post_processors(tiny_config(policy_type))
    assert (before.name, after.name) == ("policy_preprocessor", "policy_postprocessor")


def test_wrapped_classes_exist(shared):
    """accelerate raises for a name that no module has."""
    present = {type(module).__name__ for module in shared.modules()}
    assert set(shared._no_split_modules) <= present


def test_the_surface_is_as_committed(policy_type):
    committed = json.loads(SNAPSHOT.read_text()).get(policy_type)
    assert json.loads(json.dumps(surface_of(policy_type))) == committed, REMEDY
