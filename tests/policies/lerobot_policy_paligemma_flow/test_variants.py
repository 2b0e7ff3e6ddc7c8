"""Other PaliGemmas and fewer of their layers, and states that training hides."""

from typing import Any

import pytest
import torch
from small_tokenizer import save_tokenizer
from tiny_paligemma import GEMMA2, MICRO_HEAD, micro_geometry, save_tiny
from tiny_policies import observation_batch, tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    return training_batch(tiny_config(TYPE))


@pytest.mark.parametrize(
    ("text", "vision"), [(GEMMA2, {}), ({}, {"image_size": 64})], ids=["Gemma 2", "larger pictures"]
)
def test_other_geometries_train_act_and_come_back(batch, tmp_path, text, vision):
    geometry = micro_geometry(text, vision)
    policy = tiny_policy(TYPE, vlm_config=geometry, gradient_checkpointing=True, **MICRO_HEAD).train()
    policy(batch)[0].backward()
    assert [n for n, p in policy.named_parameters() if p.requires_grad and p.grad is None] == []
    present = {type(module).__name__ for module in policy.modules()}
    assert set(policy._no_split_modules) <= present
    observation = observation_batch(policy.config)
    expected = policy.predict_action_chunk(observation)
    policy.save_pretrained(tmp_path)
    assert torch.equal(
        PaliGemmaFlowPolicy.from_pretrained(tmp_path).predict_action_chunk(observation), expected
    )


def test_fewer_layers_come_from_a_folder_and_back(tmp_path):
    source = save_tiny(tmp_path / "base")
    save_tokenizer(source)
    policy = PaliGemmaFlowPolicy(tiny_config(TYPE, init_from=str(source), vlm_num_layers=2))
    assert len(policy.vlm.language_model.layers) == 2
    policy.save_pretrained(tmp_path / "checkpoint")
    loaded = PaliGemmaFlowPolicy.from_pretrained(tmp_path / "checkpoint")
    assert len(loaded.vlm.language_model.layers) == 2
    policy.config.vlm_num_layers = 1
    with pytest.raises(ZooError, match="first made"):
        PaliGemmaFlowPolicy(policy.config)


def test_hidden_states_do_not_matter_in_training_only(batch, monkeypatch):
    policy = tiny_policy(TYPE, vlm_config=micro_geometry(), state_dropout=0.99, **MICRO_HEAD)
    changed = batch | {"observation.state": batch["observation.state"] + 0.3}
    assert policy(batch)[0] != policy(changed)[0]
    policy.train()
    assert policy(batch)[0] == policy(changed)[0]


@pytest.mark.parametrize(
    "changes", [{"state_dropout": 1.0}, {"state_dropout": 0.1, "use_state_input": False}]
)
def test_a_wrong_state_dropout_is_refused(changes):
    with pytest.raises(ZooError, match="state_dropout"):
        tiny_config(TYPE, **changes)
