"""`paligemma_flow`: loss, sampling, freezing, optimizer groups, where its weights come from.

Legend: B batch, K draws per observation, H chunk, A action dims.
"""

import copy
import shutil
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_tokenizer import save_tokenizer
from tiny_paligemma import save_tiny
from tiny_policies import (
    ACTION_WIDTH,
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


def fresh(**changes: Any) -> PaliGemmaFlowPolicy:
    """As training makes it, zero layers included."""
    torch.manual_seed(0)
    return PaliGemmaFlowPolicy(tiny_config(TYPE, **changes)).train()


def count_calls(module: torch.nn.Module) -> list[int]:
    calls = [0]

    def hook(*_: object) -> None:
        calls[0] += 1

    module.register_forward_hook(hook)
    return calls


# Loss.


def test_the_first_loss_is_what_a_zero_velocity_costs(batch):
    """E[noise^2] + E[action^2]; a wrong target or a wrong scale shows here at once."""
    policy = fresh(flow_repeats=100)
    valid = batch["action"][~batch["action_is_pad"]]
    loss, logs = policy(batch)
    assert loss.item() == pytest.approx(1 + valid.square().mean().item(), rel=0.03)
    assert set(logs) == {"flow_loss_t_low", "flow_loss_t_high", "pad_fraction"}
    assert all(isinstance(value, float) for value in logs.values())


def test_uniform_noise_costs_a_third(batch):
    policy = fresh(flow_repeats=100, noise_distribution="uniform")
    valid = batch["action"][~batch["action_is_pad"]]
    assert policy(batch)[0].item() == pytest.approx(1 / 3 + valid.square().mean().item(), rel=0.03)


@torch.no_grad()
def test_draws_together_cost_the_mean_of_draws_alone(shared, batch):
    context, mask = shared.encode(batch)
    noise, time = torch.randn(B, 4, H, A), torch.rand(B, 4)

    def errors(draws: slice) -> Tensor:
        return shared.velocity_errors(
            context, mask, batch["observation.state"], batch["action"], noise[:, draws], time[:, draws]
        )

    alone = torch.stack([errors(slice(k, k + 1)).mean() for k in range(4)]).mean()
    torch.testing.assert_close(errors(slice(None)).mean(), alone, atol=1e-6, rtol=1e-5)


def test_the_paligemma_runs_once_for_all_draws(batch):
    policy = fresh(flow_repeats=5)
    tower = count_calls(policy.vlm.vision_tower.vision_model.encoder.layers[0])
    decoder = count_calls(policy.vlm.language_model.layers[0].input_layernorm)
    policy(batch)
    assert tower == decoder == [1]


@torch.no_grad()
def test_action_dim_weights_choose_what_counts(shared, batch):
    policy = tiny_policy(TYPE, action_dim_weights=[1.0] + [0.0] * (A - 1))
    changed = batch | {"action": batch["action"].clone()}
    changed["action"][..., 1:] += 0.5  # changes what the network sees, not what it is told to match
    loss, _ = policy(batch, reduction="none")
    assert not torch.allclose(loss, shared(batch, reduction="none")[0])
    everything = tiny_policy(TYPE, action_dim_weights=[2.0] * A)
    torch.testing.assert_close(everything(batch)[0], shared(batch)[0])


def test_evaluation_times_are_a_grid(shared, batch, monkeypatch):
    seen = {}

    def remember(context, mask, state, action, noise, time):
        seen["time"] = time
        return (noise - action[:, None]).square()

    monkeypatch.setattr(shared, "velocity_errors", remember)
    shared(batch)
    expected = (torch.arange(8) + 0.5) / 8
    assert torch.equal(seen["time"], expected.expand(B, 8))


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
    policy = fresh().train(training)
    names = ["observation.images.image", "observation.images.image2"]
    short = {key: value for key, value in batch.items() if key not in names[keep:]}
    with pytest.raises(ZooError, match=r"observation\.images\.image2(.|\n)*--rename_map"):
        policy(short)


def test_unprocessed_batches_are_refused(shared):
    with pytest.raises(ZooError, match="preprocessor"):
        shared.predict_action_chunk(raw_batch(shared.config))


def test_pictures_normalised_twice_are_refused(batch):
    with pytest.raises(ZooError, match=r"observation\.images\.image are out of range"):
        fresh()(batch | {"observation.images.image": batch["observation.images.image"] * 2 - 1})


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


# Freezing and precision.


TOWER, PROJECTOR, DECODER, TABLE = (
    "vlm.vision_tower.",
    "vlm.multi_modal_projector.",
    "vlm.language_model.",
    "vlm.language_model.embed_tokens.",
)


@pytest.mark.parametrize(
    ("changes", "frozen"),
    [
        ({}, ()),
        ({"freeze_vision_tower": True}, (TOWER,)),
        ({"freeze_language_model": True}, (DECODER, PROJECTOR)),
        ({"freeze_language_model": True, "freeze_projector": False}, (DECODER,)),
        ({"freeze_vision_tower": True, "freeze_language_model": True}, (TOWER, PROJECTOR, DECODER)),
    ],
    ids=["nothing", "vision", "language", "language, not the projector", "both"],
)
def test_frozen_weights_are_bfloat16_and_stay_to_the_bit(batch, changes, frozen):
    policy = tiny_policy(TYPE, dtype="bfloat16", gradient_checkpointing=True, **changes).train()
    before = copy.deepcopy(policy.state_dict())
    optimizer = torch.optim.AdamW(policy.get_optim_params(), lr=1e-2)
    for _ in range(2):
        policy(batch)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, value in policy.state_dict().items():
        held = name.startswith(frozen) if frozen else False
        island = "patch_embedding" in name or "position_embedding" in name
        assert value.dtype == (torch.bfloat16 if held and not island else torch.float32), name
        if held:
            assert torch.equal(value, before[name]), name
    for part in (TOWER, PROJECTOR, DECODER, "action_head.", "context_norm."):
        if part not in frozen:
            moved = [not torch.equal(policy.state_dict()[n], before[n]) for n in before if n.startswith(part)]
            assert any(moved), part


def test_a_frozen_tower_keeps_no_activations(batch):
    policy = fresh(freeze_vision_tower=True, freeze_language_model=True, gradient_checkpointing=True)
    context, _ = policy.encode(batch)
    assert context.requires_grad, "the norm before the head is trained"
    assert not policy._prefix(batch).hidden_BSD.requires_grad


def test_checkpointing_changes_no_gradient(batch):
    found = []
    for on in (False, True):
        policy = fresh(gradient_checkpointing=on)
        for parameter in policy.action_head.parameters():
            parameter.data.add_(0.01)
        policy(batch)[0].backward()
        found.append({name: p.grad for name, p in policy.named_parameters()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_dtype_changes_the_loss_a_little(batch):
    exact, rough = (fresh(dtype=dtype)(batch)[0] for dtype in ("float32", "bfloat16"))
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.01)


@pytest.mark.parametrize(
    ("changes", "trained_steps", "expected"),
    [
        ({"vlm_warmup_steps": 2}, 1, 0.0),
        ({"vlm_warmup_steps": 2}, 2, 1.0),
        ({"vlm_grad_scale": 0.5}, 0, 0.5),
        ({"vlm_grad_scale": 0.0}, 0, 0.0),
    ],
)
def test_the_gradient_into_the_paligemma_is_scaled(batch, changes, trained_steps, expected):
    def backward(steps: int, **changes: Any) -> Tensor:
        policy = tiny_policy(TYPE, trained_steps=steps, **changes).train()
        weight = policy.vlm.language_model.layers[0].mlp.up_proj.weight
        policy(batch)[0].backward()
        return torch.zeros_like(weight) if weight.grad is None else weight.grad

    torch.testing.assert_close(
        backward(trained_steps, **changes), expected * backward(trained_steps), atol=1e-8, rtol=1e-4
    )


# Optimizer.


def test_optimizer_groups_have_their_rates_and_decays():
    policy = fresh(optimizer_lr=1e-3, vlm_lr_scale=0.1, optimizer_weight_decay=0.02)
    names = {id(parameter): name for name, parameter in policy.named_parameters()}
    groups = policy.get_optim_params()
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [
        (1e-3, 0.02),
        (1e-3, 0.0),
        (pytest.approx(1e-4), 0.02),
        (pytest.approx(1e-4), 0.0),
    ]
    members = [{names[id(parameter)] for parameter in group["params"]} for group in groups]
    assert sum(map(len, members)) == len(names)
    assert set().union(*members) == set(names.values())
    assert "action_head.action_in.weight" in members[0]
    assert {
        "action_head.position",
        "action_head.blocks.0.modulation_table",
        "context_norm.weight",
        "action_head.action_in.bias",
    } <= members[1]
    assert "vlm.language_model.layers.0.mlp.up_proj.weight" in members[2]
    assert {"vlm.language_model.embed_tokens.weight", "vlm.language_model.norm.weight"} <= members[3]


def test_frozen_weights_are_in_no_group():
    policy = fresh(freeze_language_model=True, freeze_vision_tower=True)
    listed = {id(p) for group in policy.get_optim_params() for p in group["params"]}
    assert listed == {id(p) for p in policy.parameters() if p.requires_grad}
    assert len(policy.get_optim_params()) == 2


# Where the weights come from.


def test_pretrained_weights_are_loaded_and_their_table_is_frozen(tmp_path):
    source = save_tiny(tmp_path / "base", torch.bfloat16)
    save_tokenizer(source)
    policy = fresh(init_from=str(source), dtype="bfloat16")
    query = "layers.0.self_attn.q_proj.weight"
    stored = load_file(source / "model.safetensors")[f"model.language_model.model.{query}"]
    own = policy.vlm.language_model.state_dict()[query]
    assert own.dtype == torch.float32, "trained in float32, though stored in bfloat16"
    assert torch.equal(own, stored.float())
    table = policy.vlm.language_model.embed_tokens.weight
    assert (table.requires_grad, table.dtype) == (False, torch.bfloat16)
    assert fresh(
        init_from=str(source), train_embeddings=True
    ).vlm.language_model.embed_tokens.weight.requires_grad


def test_from_scratch_the_table_is_trained(caplog):
    assert fresh().vlm.language_model.embed_tokens.weight.requires_grad
    assert "random weights" in caplog.text


def test_a_checkpoint_needs_its_base_no_more(tmp_path):
    source = save_tiny(tmp_path / "base")
    save_tokenizer(source)
    policy = fresh(init_from=str(source)).eval()
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
    policy = fresh(paligemma_variant="paligemma_3b", init_from=str(source))
    assert policy.vlm.width == 128


def test_offline_pretrained_weights_are_refused_with_what_to_do():
    with pytest.raises(ZooError, match="hf download google/paligemma-3b-pt-224"):
        fresh(paligemma_variant="paligemma_3b")


def test_rotary_frequencies_are_never_cast(tmp_path):
    policy = fresh(dtype="bfloat16", freeze_language_model=True)
    policy.save_pretrained(tmp_path)
    for one in (policy, PaliGemmaFlowPolicy.from_pretrained(tmp_path), policy.to("cpu")):
        assert one.vlm.language_model.rotary_emb.inv_freq.dtype == torch.float32
