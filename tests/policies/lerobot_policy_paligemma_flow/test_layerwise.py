"""`context_source=layerwise`: each block of the head attends to a layer of its own of the language model.

Legend: B rows, T steps, H chunk, A action dims, S prefix tokens, D width of the language model.
"""

from typing import Any

import pytest
import torch
from small_tokenizer import save_tokenizer
from tiny_paligemma import MICRO_HEAD, micro_geometry, save_tiny
from tiny_policies import ACTION_WIDTH, observation_batch, tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.heads import attended_layers
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"
B, H, A, D = 3, 8, ACTION_WIDTH, 32
LAYERS = 4


def layerwise_policy(**changes: Any) -> PaliGemmaFlowPolicy:
    """Two blocks on four layers: they attend to the second and the fourth."""
    geometry = micro_geometry({"num_hidden_layers": LAYERS})
    options = {"vlm_config": geometry, "clip_value": None, "context_source": "layerwise"} | MICRO_HEAD
    return tiny_policy(TYPE, **options | changes)


@pytest.fixture(scope="module")
def policy() -> PaliGemmaFlowPolicy:
    """For tests that only read."""
    return layerwise_policy()


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    return training_batch(tiny_config(TYPE))


@pytest.mark.parametrize(
    ("num_layers", "depth", "expected"),
    [
        (18, 8, [3, 5, 7, 9, 12, 14, 16, 18]),
        (12, 8, [2, 3, 5, 6, 8, 9, 11, 12]),
        (4, 2, [2, 4]),
        (2, 4, [1, 1, 2, 2]),
        (1, 3, [1, 1, 1]),
    ],
)
def test_the_blocks_are_spread_over_the_layers(num_layers, depth, expected):
    config = tiny_config(TYPE, context_source="layerwise", head_depth=depth)
    assert attended_layers(config, num_layers) == expected
    assert attended_layers(tiny_config(TYPE, head_depth=depth), num_layers) == [num_layers] * depth


@torch.no_grad()
def test_the_contexts_are_the_hidden_states_that_transformers_has_there(policy, batch):
    """transformers' list starts with the embeddings and ends behind the final norm."""
    embedded = []
    first = policy.vlm.language_model.layers[0].input_layernorm
    handle = first.register_forward_pre_hook(lambda _, given: embedded.append(given[0]))
    context_GBSD, mask_BS = policy.encode(batch)
    handle.remove()
    additive_B11S = torch.zeros(mask_BS.shape).masked_fill(~mask_BS, torch.finfo(torch.float32).min)
    states = policy.vlm.language_model(
        inputs_embeds=embedded[0],
        attention_mask=additive_B11S[:, None, None].expand(-1, 1, mask_BS.shape[1], -1),
        position_ids=mask_BS.long().cumsum(1).clamp(min=1),
        use_cache=False,
        output_hidden_states=True,
    ).hidden_states
    assert context_GBSD.shape == (2, *mask_BS.shape, D)
    for context_BSD, norm, state in zip(
        context_GBSD, (*policy.layer_norms, policy.context_norm), (states[2], states[4]), strict=True
    ):
        torch.testing.assert_close(context_BSD[mask_BS], norm(state)[mask_BS], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_it_differs_from_the_last_layer_alone(policy, batch):
    """With the same weights; the highest layer is the one that `last` attends to."""
    last = layerwise_policy(context_source="last")
    own = policy.state_dict()
    last.load_state_dict({name: own[name] for name in last.state_dict()})
    assert torch.equal(policy.encode(batch)[0][-1:], last.encode(batch)[0])
    noise = torch.randn(B, H, A)
    chunks = [one.predict_action_chunk(batch, noise=noise) for one in (policy, last)]
    assert ((chunks[0] - chunks[1]).abs().amax((1, 2)) > 1e-5).all()


def test_gradients_reach_a_layer_through_its_own_block(batch):
    """With the other block's cross-attention cut off: through block 0 no layer above the second learns."""
    policy = layerwise_policy().train()
    with torch.no_grad():
        policy.action_head.blocks[1].cross_attention.out.weight.zero_()
    policy(batch)[0].backward()
    reached = [
        bool(layer.mlp.up_proj.weight.grad is not None and layer.mlp.up_proj.weight.grad.any())
        for layer in policy.vlm.language_model.layers
    ]
    assert reached == [True, True, False, False]


@pytest.mark.parametrize("history", [{}, {"n_obs_steps": 2}, {"n_obs_steps": 2, "history_mode": "joint"}])
def test_every_trainable_weight_learns_and_checkpointing_changes_nothing(history):
    found = []
    for on in (False, True):
        policy = layerwise_policy(gradient_checkpointing=on, **history).train()
        policy(training_batch(policy.config))[0].backward()
        found.append({name: p.grad for name, p in policy.named_parameters()})
    assert [name for name, gradient in found[0].items() if gradient is None] == []
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize(("changes", "share"), [({"vlm_grad_scale": 0.0}, 0), ({"vlm_grad_scale": 0.5}, 0.5)])
def test_the_gradient_is_scaled_in_every_layer(batch, changes, share):
    gradients = []
    for options in ({}, changes):
        policy = layerwise_policy(**options).train()
        policy(batch)[0].backward()
        weight = policy.vlm.language_model.layers[0].mlp.up_proj.weight
        gradients.append(torch.zeros_like(weight) if weight.grad is None else weight.grad)
    torch.testing.assert_close(gradients[1], share * gradients[0], atol=1e-8, rtol=1e-4)


@torch.no_grad()
def test_keys_and_values_are_computed_once_per_chunk(policy):
    calls = []
    handles = [
        module.register_forward_hook(lambda module, *_: calls.append(module))
        for module in (policy.vlm, *(block.cross_attention.kv for block in policy.action_head.blocks))
    ]
    policy.predict_action_chunk(observation_batch(policy.config))
    for handle in handles:
        handle.remove()
    assert len(calls) == 3


@torch.no_grad()
def test_frames_are_remembered_with_all_their_layers():
    policy = layerwise_policy(n_obs_steps=2, num_inference_steps=2)
    encoded = []
    policy.vlm.register_forward_pre_hook(lambda _, given: encoded.append(len(given[2])))
    steps, noise = [observation_batch(policy.config, seed=seed) for seed in (0, 1)], torch.randn(B, H, A)
    remembered = [policy.predict_action_chunk(step, noise=noise) for step in steps][-1]
    assert encoded == [B, B]
    observed = [key for key in steps[0] if "image" in key or "state" in key]
    both = steps[1] | {key: torch.stack([step[key] for step in steps], dim=1) for key in observed}
    torch.testing.assert_close(policy.predict_action_chunk(both, noise=noise), remembered, atol=1e-5, rtol=0)


def test_it_comes_back_from_a_checkpoint_and_takes_no_other_source(policy, tmp_path):
    policy.save_pretrained(tmp_path)
    batch = observation_batch(policy.config)
    policy.reset()
    loaded = PaliGemmaFlowPolicy.from_pretrained(tmp_path)
    assert torch.equal(loaded.predict_action_chunk(batch), policy.predict_action_chunk(batch))
    loaded.config.context_source = "last"
    with pytest.raises(ZooError, match="context_source shapes the network"):
        PaliGemmaFlowPolicy.from_pretrained(tmp_path, config=loaded.config)


def test_the_layers_are_counted_in_what_is_kept_of_the_language_model(tmp_path):
    source = save_tokenizer(save_tiny(tmp_path))
    config = {"init_from": str(source), "vlm_num_layers": 2, "context_source": "layerwise", "head_depth": 2}
    policy = PaliGemmaFlowPolicy(tiny_config(TYPE, **config))
    assert policy.lower_layers == [1]
    assert policy.action_head.context_of_block == [0, 1]
    context_GBSD, mask_BS = policy.encode(observation_batch(policy.config))
    assert context_GBSD.shape == (2, *mask_BS.shape, policy.vlm.width)


def test_the_head_without_blocks_refuses_it():
    with pytest.raises(ZooError, match=r"no blocks(.|\n)*--policy.head_type=dit"):
        tiny_config(TYPE, head_type="mlp", context_source="layerwise")
