"""Where the weights of `paligemma_flow` come from."""

import shutil

import pytest
import torch
from safetensors.torch import load_file
from small_tokenizer import save_tokenizer
from tiny_paligemma import save_tiny
from tiny_policies import fresh_policy, processors, raw_batch

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"


def test_pretrained_weights_are_loaded_and_their_table_is_frozen(tmp_path):
    source = save_tiny(tmp_path / "base", torch.bfloat16)
    save_tokenizer(source)
    policy = fresh_policy(TYPE, init_from=str(source), dtype="bfloat16")
    query = "layers.0.self_attn.q_proj.weight"
    stored = load_file(source / "model.safetensors")[f"model.language_model.model.{query}"]
    own = policy.vlm.language_model.state_dict()[query]
    assert own.dtype == torch.float32, "trained in float32, though stored in bfloat16"
    assert torch.equal(own, stored.float())
    table = policy.vlm.language_model.embed_tokens.weight
    assert (table.requires_grad, table.dtype) == (False, torch.bfloat16)
    assert fresh_policy(
        TYPE, init_from=str(source), train_embeddings=True
    ).vlm.language_model.embed_tokens.weight.requires_grad


def test_from_scratch_the_table_is_trained(caplog):
    assert fresh_policy(TYPE).vlm.language_model.embed_tokens.weight.requires_grad
    assert "random weights" in caplog.text


def test_a_checkpoint_needs_its_base_no_more(tmp_path):
    source = save_tiny(tmp_path / "base")
    save_tokenizer(source)
    policy = fresh_policy(TYPE, init_from=str(source)).eval()
    before, _ = processors(policy.config)
    policy.save_pretrained(tmp_path / "checkpoint")
    before.save_pretrained(tmp_path / "checkpoint")
    expected = policy.predict_action_chunk(before(raw_batch(policy.config)))
    shutil.rmtree(source)

    loaded = PaliGemmaFlowPolicy.from_pretrained(tmp_path / "checkpoint")
    from lerobot.processor import PolicyProcessorPipeline

    again = PolicyProcessorPipeline.from_pretrained(
        tmp_path / "checkpoint", config_filename="policy_preprocessor.json"
    )
    assert torch.equal(loaded.predict_action_chunk(again(raw_batch(policy.config))), expected)


def test_a_geometry_of_its_own_wins_over_the_preset(tmp_path):
    source = save_tiny(tmp_path)
    policy = fresh_policy(TYPE, paligemma_variant="paligemma_3b", init_from=str(source))
    assert policy.vlm.width == 128


def test_offline_pretrained_weights_are_refused_with_what_to_do():
    with pytest.raises(ZooError, match="hf download google/paligemma-3b-pt-224"):
        fresh_policy(TYPE, paligemma_variant="paligemma_3b")


def test_rotary_frequencies_are_never_cast(tmp_path):
    policy = fresh_policy(TYPE, dtype="bfloat16", freeze_language_model=True)
    policy.save_pretrained(tmp_path)
    for one in (policy, PaliGemmaFlowPolicy.from_pretrained(tmp_path), policy.to("cpu")):
        assert one.vlm.language_model.rotary_emb.inv_freq.dtype == torch.float32
