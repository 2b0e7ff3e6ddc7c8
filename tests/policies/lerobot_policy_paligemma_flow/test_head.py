"""Both action heads: start at zero, see everything they should, read the prefix once.

Legend: B observations, K draws per observation, T state steps, H chunk, A action dims, P state dims,
G attended layers, S prefix tokens, D prefix width.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lerobot_policy_paligemma_flow.head import FlowHead, PaligemmaFlowBlock
from lerobot_policy_paligemma_flow.mlp_head import MLPFlowHead

B, K, T, H, A, P, S, D = 2, 3, 2, 4, 5, 6, 7, 16
COMMON = {
    "action_width": A,
    "state_width": P,
    "state_steps": T,
    "chunk_size": H,
    "context_width": D,
    "min_period": 4e-3,
    "max_period": 4.0,
}
DIT = COMMON | {"width": 32, "depth": 2, "num_heads": 4, "mlp_ratio": 2.0, "dropout": 0.0}
MLP = COMMON | {"hidden_dims": [32, 16], "dropout": 0.1}
KINDS = {"dit": (FlowHead, DIT), "mlp": (MLPFlowHead, MLP)}


def make_head(kind: str = "dit", awake: bool = True, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    head_class, geometry = KINDS[kind]
    head = head_class(**geometry | changes).eval()
    if awake:
        for parameter in head.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.1)
    return head


@pytest.fixture(params=KINDS)
def head(request) -> nn.Module:
    return make_head(request.param)


def inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask_BS = torch.ones(B, S, dtype=torch.bool)
    mask_BS[-1, 4:] = False
    return {
        "x_RHA": torch.randn(B, H, A, generator=generator),
        "time_R": torch.rand(B, generator=generator),
        "state_BP": torch.randn(B, T, P, generator=generator),
        "context": torch.randn(B, S, D, generator=generator),
        "context_mask_BS": mask_BS,
        "state_mask_BT": torch.tensor([[True, True], [False, True]]),
    }


def velocity(head: nn.Module, **given: Tensor) -> Tensor:
    return head(**given | {"context": head.context_keys_values(given["context"][None])})


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_head_outputs_exactly_zero(kind):
    output = velocity(make_head(kind, awake=False), **inputs())
    assert output.shape == (B, H, A)
    assert not output.any()


@torch.no_grad()
@pytest.mark.parametrize("name", ["x_RHA", "time_R", "state_BP", "context"])
def test_every_input_reaches_every_action(head, name):
    given = inputs()
    after = velocity(head, **given | {name: given[name] + 0.3})
    assert ((velocity(head, **given) - after).abs().amax(-1) > 1e-6).all()


@torch.no_grad()
def test_actions_see_each_other(head):
    given = inputs()
    x = given["x_RHA"].clone()
    x[:, -1] += 1
    assert ((velocity(head, **given) - velocity(head, **given | {"x_RHA": x})).abs().amax(-1) > 1e-6).all()


@torch.no_grad()
def test_what_is_masked_does_not_matter(head):
    given = inputs()
    other = {
        "context": torch.where(given["context_mask_BS"][..., None], given["context"], 9.0),
        "state_BP": torch.where(given["state_mask_BT"][..., None], given["state_BP"], 9.0),
    }
    assert torch.equal(velocity(head, **given), velocity(head, **given | other))
    none = given | {"state_mask_BT": torch.zeros(B, T, dtype=torch.bool)}
    assert torch.equal(velocity(head, **none), velocity(head, **none | {"state_BP": given["state_BP"] + 1}))


@torch.no_grad()
def test_draws_of_an_observation_share_its_prefix(head):
    """K rows per observation equal K calls with one row each."""
    given = inputs()
    x, time = torch.randn(B, K, H, A), torch.rand(B, K)
    together = velocity(head, **given | {"x_RHA": x.flatten(0, 1), "time_R": time.flatten()})
    for draw in range(K):
        alone = velocity(head, **given | {"x_RHA": x[:, draw], "time_R": time[:, draw]})
        torch.testing.assert_close(together.view(B, K, H, A)[:, draw], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_rows_do_not_see_each_other(head):
    given = inputs()
    whole = velocity(head, **given)
    for row in range(B):
        alone = velocity(head, **{name: value[row : row + 1] for name, value in given.items()})
        torch.testing.assert_close(whole[row : row + 1], alone, atol=1e-6, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_head_of_one_step_takes_its_state_with_and_without_the_dimension_of_steps(kind):
    head = make_head(kind, state_steps=1)
    given = inputs() | {"state_mask_BT": None}
    flat = velocity(head, **given | {"state_BP": given["state_BP"][:, 0]})
    assert torch.equal(velocity(head, **given | {"state_BP": given["state_BP"][:, :1]}), flat)


@pytest.mark.parametrize("kind", KINDS)
def test_without_state_nothing_reads_one(kind):
    head = make_head(kind, state_width=0)
    assert not any("state" in name or "step" in name for name, _ in head.named_parameters())
    assert velocity(head, **inputs() | {"state_BP": None, "state_mask_BT": None}).shape == (B, H, A)


def test_a_head_with_state_needs_it(head):
    with pytest.raises(AssertionError, match="built with a state"):
        velocity(head, **inputs() | {"state_BP": None})


@torch.no_grad()
def test_the_velocity_is_float32_under_autocast(head):
    given = inputs()
    exact = velocity(head, **given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = velocity(head, **given)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0.05)


def test_every_weight_gets_a_gradient(head):
    """Data-parallel training waits for all of them."""
    velocity(head, **inputs()).square().sum().backward()
    silent = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    # A softmax does not change with what is added to all of its scores.
    assert set(silent) <= {"score.bias"}
    assert all(p.grad is not None for p in head.parameters())


# The DiT alone.


@torch.no_grad()
def test_a_fresh_block_is_the_identity():
    block = PaligemmaFlowBlock(width=32, num_heads=4, mlp_width=64, context_width=D, dropout=0.0)
    x = torch.randn(B, H, 32)
    context = block.cross_attention.keys_values(torch.randn(B, S, D))
    assert torch.equal(block(x, torch.zeros(B, 9, 32), context, torch.ones(B, 1, 1, S).bool()), x)


@torch.no_grad()
def test_each_block_attends_to_its_own_context():
    head = make_head(context_of_block=[0, 1])
    context_GBSD = torch.randn(2, B, S, D)
    made = head.context_keys_values(context_GBSD)
    for block, context_BSD, (k, v) in zip(head.blocks, context_GBSD, made, strict=True):
        expected = block.cross_attention.keys_values(context_BSD)
        assert torch.equal(k, expected[0])
        assert torch.equal(v, expected[1])


def test_the_default_geometry_has_the_specified_size():
    published = {
        "action_width": 7,
        "state_width": 7,
        "state_steps": 1,
        "chunk_size": 8,
        "context_width": 2048,
    }
    with torch.device("meta"):
        head = FlowHead(**DIT | published | {"width": 1024, "depth": 8, "num_heads": 16, "mlp_ratio": 4.0})
    assert sum(p.numel() for p in head.parameters()) == pytest.approx(165.1e6, rel=0.02)
