"""`paligemma_flow`: what it sees of an observation, and how it samples.

Legend: B batch, H chunk, A action dims.
"""

import copy
from typing import Any

import pytest
import torch
from tiny_policies import (
    ACTION_WIDTH,
    fresh_policy,
    observation_batch,
    processors,
    raw_batch,
    tiny_config,
    tiny_policy,
    training_batch,
)
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"
B, H, A = 3, 8, ACTION_WIDTH


@pytest.fixture(scope="module")
def shared() -> PaliGemmaFlowPolicy:
    """For tests that only read, in evaluation mode; clipping would hide differences."""
    return tiny_policy(TYPE, clip_value=None)


@pytest.fixture(scope="module")
def batch(shared) -> dict[str, Any]:
    return training_batch(shared.config)


def count_calls(module: torch.nn.Module) -> list[int]:
    calls = [0]

    def hook(*_: object) -> None:
        calls[0] += 1

    module.register_forward_hook(hook)
    return calls


# The prefix.


@torch.no_grad()
def test_a_prompts_padding_does_not_matter(shared):
    raw = raw_batch(shared.config)
    longest = processors(shared.config)[0](raw)
    static = processors(tiny_config(TYPE, tokenizer_padding="max_length"))[0](raw)
    noise = torch.randn(B, H, A)
    torch.testing.assert_close(
        shared.predict_action_chunk(longest, noise=noise),
        shared.predict_action_chunk(static, noise=noise),
        atol=1e-5,
        rtol=0,
    )


@torch.no_grad()
@pytest.mark.parametrize("given", ["observation.images.image", "observation.images.image2", "task", "state"])
def test_every_observation_matters(shared, given):
    raw = raw_batch(shared.config)
    noise = torch.zeros(B, H, A)
    before = shared.predict_action_chunk(processors(shared.config)[0](raw), noise=noise)
    change = {
        "task": {"task": ["open the door"] * B},
        "state": {"observation.state": raw["observation.state"] + 0.3},
    }.get(given) or {given: 1 - raw[given]}
    after = shared.predict_action_chunk(processors(shared.config)[0](raw | change), noise=noise)
    assert ((before - after).abs().amax((1, 2)) > 1e-6).all()


@torch.no_grad()
def test_rows_do_not_see_each_other(shared):
    batch = observation_batch(shared.config)
    noise = torch.randn(B, H, A)
    whole = shared.predict_action_chunk(batch, noise=noise)
    for row in range(B):
        part = {k: v[row : row + 1] if isinstance(v, Tensor) else v for k, v in batch.items()}
        alone = shared.predict_action_chunk(part, noise=noise[row : row + 1])
        torch.testing.assert_close(whole[row : row + 1], alone, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("order", [("image", "image2"), ("image2", "image")])
def test_cameras_are_seen_in_the_order_of_the_config(order):
    names = [f"observation.images.{name}" for name in order]
    policy = tiny_policy(TYPE, camera_order=names)
    batch = observation_batch(policy.config)
    prefix = policy.vlm(
        [batch[name] * 2 - 1 for name in names],  # pictures of the tower's own size; levels differ by < 1/255
        [None, None],
        batch["observation.language.tokens"],
        batch["observation.language.attention_mask"],
    )
    torch.testing.assert_close(policy._prefix(batch).hidden_BSD, prefix.hidden_BSD, atol=0.05, rtol=0)


@torch.no_grad()
def test_a_camera_may_be_absent_at_run_time_on_request_and_is_named_once(shared, caplog):
    batch = observation_batch(shared.config)
    absent = {key: value for key, value in batch.items() if key != "observation.images.image2"}
    noise = torch.randn(B, H, A)
    with pytest.raises(ZooError, match=r"no observation.images.image2(.|\n)*--policy.allow_missing_cameras"):
        shared.predict_action_chunk(absent, noise=noise)
    lenient = tiny_policy(TYPE, allow_missing_cameras=True, clip_value=None)
    alone = tiny_policy(TYPE, use_aux_camera=False, clip_value=None)
    torch.testing.assert_close(
        lenient.predict_action_chunk(absent, noise=noise), alone.predict_action_chunk(batch, noise=noise)
    )
    lenient.predict_action_chunk(absent, noise=noise)
    assert caplog.text.count("no picture of observation.images.image2") == 1


@pytest.mark.parametrize(
    ("keep", "training"), [(1, True), (0, True), (0, False)], ids=["one of two", "none", "none, acting"]
)
def test_lacking_cameras_are_named(batch, keep, training):
    policy = fresh_policy(TYPE).train(training)
    names = ["observation.images.image", "observation.images.image2"]
    short = {key: value for key, value in batch.items() if key not in names[keep:]}
    with pytest.raises(ZooError, match=r"observation\.images\.image2(.|\n)*--rename_map"):
        policy(short)


def test_unprocessed_batches_are_refused(shared):
    with pytest.raises(ZooError, match="preprocessor"):
        shared.predict_action_chunk(raw_batch(shared.config))


def test_pictures_normalised_twice_are_refused(batch):
    with pytest.raises(ZooError, match=r"observation\.images\.image are out of range"):
        fresh_policy(TYPE)(batch | {"observation.images.image": batch["observation.images.image"] * 2 - 1})


@torch.no_grad()
def test_a_time_dimension_of_one_is_accepted(shared):
    batch = observation_batch(shared.config)
    timed = batch | {
        key: value[:, None] for key, value in batch.items() if ".image" in key or key.endswith(".state")
    }
    shared.reset()
    first = shared.predict_action_chunk(batch)
    shared.reset()
    assert torch.equal(shared.predict_action_chunk(timed), first)


# Sampling.


@torch.no_grad()
def test_the_cached_context_equals_a_recomputed_one(shared):
    """One observation, N Euler steps: encode once, or the whole network at every step."""
    batch, noise = observation_batch(shared.config), torch.randn(B, H, A)
    x, steps = noise, shared.config.num_inference_steps
    for step in range(steps):
        context, mask = shared.encode(batch)
        time = torch.full((B,), 1 - step / steps)
        keys_values = shared.action_head.context_keys_values(context)
        x = x - shared.action_head(x, time, batch["observation.state"], keys_values, mask) / steps
    sampled = shared.predict_action_chunk(batch, noise=noise)
    torch.testing.assert_close(sampled, x, atol=1e-6, rtol=1e-5)


def test_the_prefix_is_computed_once_per_chunk(shared):
    policy = copy.deepcopy(shared)
    prefix = count_calls(policy.vlm)
    head = count_calls(policy.action_head)
    keys_values = count_calls(policy.action_head.blocks[0].cross_attention.kv)
    policy.predict_action_chunk(observation_batch(policy.config))
    assert (prefix, head, keys_values) == ([1], [10], [1])


def test_rows_share_their_noise_so_that_batching_does_not_matter(shared):
    batch = observation_batch(shared.config)
    same = {k: v[:1].expand_as(v) if isinstance(v, Tensor) else v for k, v in batch.items()}
    chunk = shared.predict_action_chunk(same)
    torch.testing.assert_close(chunk[1:], chunk[:1].expand(B - 1, -1, -1), atol=1e-6, rtol=0)


def test_noise_of_the_wrong_shape_is_refused(shared):
    with pytest.raises(ZooError, match=r"\(3, 8, 7\)"):
        shared.predict_action_chunk(observation_batch(shared.config), noise=torch.zeros(B, H, A + 1))


@pytest.mark.parametrize(
    ("changes", "clipped"),
    [
        ({}, 1.0),
        ({"clip_value": 0.5}, 0.5),
        ({"clip_value": None}, None),
        ({"action_normalization": "mean_std"}, None),
    ],
)
def test_bounded_actions_are_clipped(changes, clipped):
    policy = tiny_policy(TYPE, **changes)
    chunk = policy.predict_action_chunk(observation_batch(policy.config), noise=torch.full((B, H, A), 5.0))
    assert chunk.max().item() == clipped if clipped else chunk.max() > 1


def test_the_paligemma_runs_once_for_all_draws(batch):
    policy = fresh_policy(TYPE, flow_repeats=5)
    tower = count_calls(policy.vlm.vision_tower.vision_model.encoder.layers[0])
    decoder = count_calls(policy.vlm.language_model.layers[0].input_layernorm)
    policy(batch)
    assert tower == decoder == [1]
