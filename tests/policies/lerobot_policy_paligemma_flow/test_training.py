"""The loss of `paligemma_flow` and what its optimizer gets.

Legend: B batch, K draws per observation, H chunk, A action dims.
"""

from typing import Any

import pytest
import torch
from tiny_paligemma import MICRO_HEAD, micro_geometry
from tiny_policies import ACTION_WIDTH, fresh_policy, tiny_policy, training_batch
from torch import Tensor

from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"
B, H, A = 3, 8, ACTION_WIDTH
SMALL = {"vlm_config": micro_geometry(), **MICRO_HEAD}


@pytest.fixture(scope="module")
def shared() -> PaliGemmaFlowPolicy:
    """For tests that only read, in evaluation mode."""
    return tiny_policy(TYPE, **SMALL)


@pytest.fixture(scope="module")
def batch(shared) -> dict[str, Any]:
    return training_batch(shared.config)


def fresh(**changes: Any) -> PaliGemmaFlowPolicy:
    return fresh_policy(TYPE, **SMALL | changes)


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


@torch.no_grad()
def test_action_dim_weights_choose_what_counts(shared, batch):
    policy = tiny_policy(TYPE, **SMALL, action_dim_weights=[1.0] + [0.0] * (A - 1))
    changed = batch | {"action": batch["action"].clone()}
    changed["action"][..., 1:] += 0.5  # changes what the network sees, not what it is told to match
    loss, _ = policy(batch, reduction="none")
    assert not torch.allclose(loss, shared(batch, reduction="none")[0])
    everything = tiny_policy(TYPE, **SMALL, action_dim_weights=[2.0] * A)
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


def test_the_dtype_changes_the_loss_a_little(batch):
    exact, rough = (fresh(dtype=dtype)(batch)[0] for dtype in ("float32", "bfloat16"))
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.01)


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
