"""What is trained, what is recomputed, what stays: every way to freeze, with and without checkpointing."""

import copy
from collections import Counter
from typing import Any

import pytest
import torch
from tiny_paligemma import MICRO_HEAD, micro_geometry
from tiny_policies import tiny_config, tiny_policy, training_batch
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"
TOWER, PROJECTOR, DECODER = ("vlm.vision_tower.", "vlm.multi_modal_projector.", "vlm.language_model.")
BOTH = {"freeze_vision_tower": True, "freeze_language_model": True}
# fields, what is frozen, which layers are recomputed
WAYS: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "nothing": ({}, (), ("vision", "language")),
    "vision": ({"freeze_vision_tower": True}, (TOWER,), ("language",)),
    "vision, projector": (
        {"freeze_vision_tower": True, "freeze_projector": True},
        (TOWER, PROJECTOR),
        ("language",),
    ),
    "language": ({"freeze_language_model": True}, (DECODER, PROJECTOR), ("vision", "language")),
    "language, not the projector": (
        {"freeze_language_model": True, "freeze_projector": False},
        (DECODER,),
        ("vision", "language"),
    ),
    "both": (BOTH, (TOWER, PROJECTOR, DECODER), ()),
    "both, not the projector": (BOTH | {"freeze_projector": False}, (TOWER, DECODER), ("language",)),
    "both, with a resampler": (
        BOTH | {"vision_resampler_type": "mlp"},
        (TOWER, PROJECTOR, DECODER),
        ("language",),
    ),
}
NUM_LAYERS = 2


def small_policy(**changes: Any) -> PaliGemmaFlowPolicy:
    return tiny_policy(TYPE, vlm_config=micro_geometry(), **MICRO_HEAD | changes)


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    return training_batch(tiny_config(TYPE), batch=2)


def count_layers(policy: PaliGemmaFlowPolicy) -> Counter[str]:
    """Forward passes through the layers of each tower, counted at their first norm; recomputed ones too."""
    calls: Counter[str] = Counter()
    for tower, norms in {
        "vision": [layer.layer_norm1 for layer in policy.vlm.vision_tower.vision_model.encoder.layers],
        "language": [layer.input_layernorm for layer in policy.vlm.language_model.layers],
    }.items():
        for norm in norms:
            norm.register_forward_hook(lambda *_, tower=tower: calls.update([tower]))
    return calls


def backward(policy: PaliGemmaFlowPolicy, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    loss, _ = policy.train()(batch)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in policy.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("way", WAYS)
def test_what_gets_gradients_and_what_is_recomputed(batch, way):
    fields, frozen, recomputed = WAYS[way]
    results, calls = [], []
    for on in (False, True):
        policy = small_policy(gradient_checkpointing=on, **fields)
        calls.append(count_layers(policy))
        results.append(backward(policy, batch))
    (loss, gradients), (again, checkpointed) = results

    assert set(gradients) == {name for name, _ in policy.named_parameters() if not name.startswith(frozen)}
    assert set(gradients) == {name for name, p in policy.named_parameters() if p.requires_grad}
    assert torch.equal(loss, again)
    assert gradients.keys() == checkpointed.keys()
    assert all(torch.equal(gradients[name], checkpointed[name]) for name in gradients)
    assert calls[0] == {"vision": NUM_LAYERS, "language": NUM_LAYERS}
    assert calls[1] == {tower: NUM_LAYERS * (1 + (tower in recomputed)) for tower in ("vision", "language")}


@pytest.mark.parametrize("way", WAYS)
def test_frozen_weights_are_bfloat16_and_stay_to_the_bit(batch, way):
    fields, frozen, _ = WAYS[way]
    policy = small_policy(dtype="bfloat16", gradient_checkpointing=True, **fields)
    before = copy.deepcopy(policy.state_dict())
    optimizer = torch.optim.AdamW(policy.get_optim_params(), lr=1e-2)
    for _ in range(2):
        backward(policy, batch)
        optimizer.step()
        optimizer.zero_grad()
    after = policy.state_dict()
    for name, value in after.items():
        held = name.startswith(frozen) if frozen else False
        island = "patch_embedding" in name or "position_embedding" in name
        assert value.dtype == (torch.bfloat16 if held and not island else torch.float32), name
        if held:
            assert torch.equal(value, before[name]), name
    for part in {TOWER, PROJECTOR, DECODER, "action_head.", "context_norm."} - set(frozen):
        assert any(not torch.equal(after[n], before[n]) for n in before if n.startswith(part)), part


def test_a_frozen_paligemma_keeps_no_activations(batch):
    policy = small_policy(gradient_checkpointing=True, **BOTH).train()
    context, _ = policy.encode(batch)
    assert context.requires_grad, "the norm before the head is trained"
    assert not policy._prefix(batch).hidden_BSD.requires_grad
    listed = {id(p) for group in policy.get_optim_params() for p in group["params"]}
    assert listed == {id(p) for p in policy.parameters() if p.requires_grad}


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
    def gradient(steps: int, **changes: Any) -> Tensor:
        policy = small_policy(trained_steps=steps, **changes)
        weight = policy.vlm.language_model.layers[0].mlp.up_proj.weight
        backward(policy, batch)
        return torch.zeros_like(weight) if weight.grad is None else weight.grad

    torch.testing.assert_close(
        gradient(trained_steps, **changes), expected * gradient(trained_steps), atol=1e-8, rtol=1e-4
    )


# Adapters.


def adapted(base: PaliGemmaFlowPolicy, folder: Any, **overrides: Any) -> Any:
    base.save_pretrained(folder)
    base.config.pretrained_path = folder
    return base.wrap_with_peft(peft_cli_overrides={"r": 2} | overrides)


@pytest.mark.parametrize("fields", [{}, BOTH], ids=["nothing frozen", "both frozen"])
def test_adapters_are_trained_whatever_is_frozen_around_them(batch, tmp_path, fields):
    found = []
    for on in (False, True):
        policy = small_policy(gradient_checkpointing=on, **fields)
        calls = count_layers(policy)
        torch.manual_seed(0)
        wrapped = adapted(policy, tmp_path)
        found.append(backward(wrapped, batch)[1])
        assert calls == {"vision": NUM_LAYERS, "language": NUM_LAYERS * (1 + on)}
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    adapters = {name for name in found[0] if "lora_B" in name}
    assert len(adapters) == 4 * NUM_LAYERS
    assert all(found[0][name].any() for name in adapters)
    assert all("lora_" in name or "modules_to_save" in name for name in found[0])


def test_dropout_of_adapters_works_in_a_frozen_language_model(tmp_path):
    wrapped = adapted(small_policy(**BOTH), tmp_path, lora_dropout=0.5).train()
    drops = [m for n, m in wrapped.named_modules() if "lora_dropout" in n and isinstance(m, torch.nn.Dropout)]
    assert drops
    assert all(drop.training for drop in drops)
    wrapped.eval()
    assert not any(drop.training for drop in drops)


def test_adapters_that_no_gradient_would_reach_are_refused(tmp_path):
    with pytest.raises(ZooError, match=r"nothing would train the adapters(.|\n)*vlm_grad_scale=1"):
        adapted(small_policy(vlm_grad_scale=0.0), tmp_path)
