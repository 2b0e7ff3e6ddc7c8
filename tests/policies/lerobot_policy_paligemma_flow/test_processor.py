"""Both pipelines of `paligemma_flow`."""

import pytest
import torch
from small_tokenizer import save_tokenizer
from tiny_paligemma import save_tiny
from tiny_policies import processors, raw_batch, tiny_config, toy_statistics

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy
from lerobot_policy_paligemma_flow.processor_paligemma_flow import default_tokenizer

TYPE = "paligemma_flow"


def names(pipeline) -> list[str]:
    return [type(step)._registry_name for step in pipeline.steps]


def test_the_order_of_steps():
    before, after = processors(tiny_config(TYPE))
    assert names(before) == [
        "rename_observations_processor",
        "to_batch_processor",
        "zoo_prompt_tokenizer",
        "device_processor",
        "normalizer_processor",
        "zoo_exact_normalizer",
    ]
    assert names(after) == ["zoo_exact_unnormalizer", "unnormalizer_processor", "device_processor"]


def test_a_training_batch():
    config = tiny_config(TYPE)
    raw = raw_batch(config)
    batch = processors(config)[0](raw)
    stats = toy_statistics()["action"]
    low, high = torch.tensor(stats["min"]).float(), torch.tensor(stats["max"]).float()
    torch.testing.assert_close(batch["action"], 2 * (raw["action"] - low) / (high - low) - 1)
    assert torch.equal(batch["observation.images.image"], raw["observation.images.image"])
    assert torch.equal(batch["action_is_pad"], raw["action_is_pad"])
    assert batch["observation.language.tokens"].shape == batch["observation.language.attention_mask"].shape


def test_a_single_observation_gets_its_batch_dimension():
    config = tiny_config(TYPE)
    one = {key: value[0] for key, value in raw_batch(config).items() if not key.startswith("action")}
    batch = processors(config)[0](one)
    assert batch["observation.state"].shape == (1, 8)
    assert batch["observation.language.tokens"].shape[0] == 1


def test_actions_come_back_in_raw_units():
    config = tiny_config(TYPE)
    before, after = processors(config)
    raw = raw_batch(config)
    torch.testing.assert_close(after(before(raw)["action"]), raw["action"], atol=1e-6, rtol=1e-6)


def test_without_state_input_the_state_is_left_alone():
    config = tiny_config(TYPE, use_state_input=False)
    raw = raw_batch(config)
    assert torch.equal(processors(config)[0](raw)["observation.state"], raw["observation.state"])


def test_the_tokenizer_belongs_to_the_weights(tmp_path):
    assert default_tokenizer(tiny_config(TYPE)) == "byte"
    large = {"paligemma_variant": "paligemma_3b"}
    assert default_tokenizer(tiny_config(TYPE, **large)) == "google/paligemma-3b-pt-224"
    assert default_tokenizer(tiny_config(TYPE, **large, init_from="scratch")) == "google/paligemma-3b-pt-224"
    assert default_tokenizer(tiny_config(TYPE, **large, init_from=str(tmp_path))) == str(tmp_path)


def test_a_folder_brings_its_tokenizer(tmp_path):
    source = save_tokenizer(save_tiny(tmp_path))
    config = tiny_config(TYPE, paligemma_variant="paligemma_3b", init_from=str(source))
    tokens = processors(config)[0](raw_batch(config))["observation.language.tokens"]
    assert tokens[0, 0] == 2
    assert 4 in tokens[0]


def test_offline_a_missing_tokenizer_is_refused_at_the_start():
    with pytest.raises(ZooError, match=r"--policy\.tokenizer_name"):
        processors(tiny_config(TYPE, tokenizer_name="some-lab/some-model"))


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    """Its ids would run off the token table, on a GPU without a word of why."""
    config = tiny_config(TYPE, tokenizer_name=str(save_tokenizer(tmp_path)))
    PaliGemmaFlowPolicy(config)
    with pytest.raises(ZooError, match=r"at most 264(.|\n)*--policy\.tokenizer_name"):
        processors(config)
