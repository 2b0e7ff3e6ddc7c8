"""The DiT head: starts at zero, sees everything it should, computes the prefix's keys and values once.

Legend: B observations, K draws per observation, H chunk, A action dims, P state dims, S prefix tokens.
"""

import pytest
import torch

from lerobot_policy_paligemma_flow.head import FlowHead, PaligemmaFlowBlock

B, K, H, A, P, S, D = 2, 3, 4, 5, 6, 7, 16
GEOMETRY = {
    "action_width": A,
    "state_width": P,
    "chunk_size": H,
    "context_width": D,
    "width": 32,
    "depth": 2,
    "num_heads": 4,
    "mlp_ratio": 2.0,
    "dropout": 0.0,
    "min_period": 4e-3,
    "max_period": 4.0,
}


def make_head(awake: bool = True, **changes) -> FlowHead:
    torch.manual_seed(0)
    head = FlowHead(**GEOMETRY | changes).eval()
    if awake:
        for parameter in head.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
    return head


def inputs(rows: int = B) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask_BS = torch.ones(rows, S, dtype=torch.bool)
    mask_BS[-1, 4:] = False
    return {
        "x_RHA": torch.randn(rows, H, A, generator=generator),
        "time_R": torch.rand(rows, generator=generator),
        "state_BP": torch.randn(rows, P, generator=generator),
        "context": torch.randn(rows, S, D, generator=generator),
        "context_mask_BS": mask_BS,
    }


def velocity(head: FlowHead, **given: torch.Tensor) -> torch.Tensor:
    return head(**given | {"context": head.context_keys_values(given["context"])})


@torch.no_grad()
def test_a_fresh_head_outputs_exactly_zero():
    output = velocity(make_head(awake=False), **inputs())
    assert output.shape == (B, H, A)
    assert not output.any()


@torch.no_grad()
def test_a_fresh_block_is_the_identity():
    block = PaligemmaFlowBlock(width=32, num_heads=4, mlp_width=64, context_width=D, dropout=0.0)
    x = torch.randn(B, H, 32)
    context = block.cross_attention.keys_values(torch.randn(B, S, D))
    assert torch.equal(block(x, torch.zeros(B, 9, 32), context, torch.ones(B, 1, 1, S).bool()), x)


@torch.no_grad()
@pytest.mark.parametrize("name", ["x_RHA", "time_R", "state_BP", "context"])
def test_every_input_reaches_every_action(name):
    head, given = make_head(), inputs()
    before = velocity(head, **given)
    after = velocity(head, **given | {name: given[name] + 0.3})
    assert ((before - after).abs().amax(-1) > 1e-5).all()


@torch.no_grad()
def test_actions_see_each_other():
    head, given = make_head(), inputs()
    x = given["x_RHA"].clone()
    x[:, -1] += 1
    assert ((velocity(head, **given) - velocity(head, **given | {"x_RHA": x})).abs().amax(-1) > 1e-6).all()


@torch.no_grad()
def test_masked_prefix_tokens_do_not_matter():
    head, given = make_head(), inputs()
    other = torch.where(given["context_mask_BS"][..., None], given["context"], 9.0)
    assert torch.equal(velocity(head, **given), velocity(head, **given | {"context": other}))


@torch.no_grad()
def test_draws_of_an_observation_share_its_prefix():
    """K rows per observation equal K calls with one row each."""
    head, given = make_head(), inputs()
    x, time = torch.randn(B, K, H, A), torch.rand(B, K)
    together = velocity(head, **given | {"x_RHA": x.flatten(0, 1), "time_R": time.flatten()})
    for draw in range(K):
        alone = velocity(head, **given | {"x_RHA": x[:, draw], "time_R": time[:, draw]})
        torch.testing.assert_close(together.view(B, K, H, A)[:, draw], alone, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_rows_do_not_see_each_other():
    head, given = make_head(), inputs()
    whole = velocity(head, **given)
    for row in range(B):
        alone = velocity(head, **{name: value[row : row + 1] for name, value in given.items()})
        torch.testing.assert_close(whole[row : row + 1], alone, atol=1e-6, rtol=1e-5)


def test_without_state_there_is_no_state_token():
    head = make_head(state_width=0)
    assert not hasattr(head, "state_in")
    assert velocity(head, **inputs() | {"state_BP": None}).shape == (B, H, A)


def test_a_head_with_state_token_needs_the_state():
    with pytest.raises(AssertionError, match="state token"):
        velocity(make_head(), **inputs() | {"state_BP": None})


def test_the_velocity_is_float32_under_autocast():
    head, given = make_head(), inputs()
    exact = velocity(head, **given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = velocity(head, **given)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0.05)


def test_every_weight_gets_a_gradient():
    """Data-parallel training waits for all of them."""
    head = make_head()
    velocity(head, **inputs()).square().sum().backward()
    silent = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_the_default_geometry_has_the_specified_size():
    with torch.device("meta"):
        head = FlowHead(
            **GEOMETRY
            | {
                "action_width": 7,
                "state_width": 7,
                "chunk_size": 8,
                "context_width": 2048,
                "width": 1024,
                "depth": 8,
                "num_heads": 16,
                "mlp_ratio": 4.0,
            }
        )
    assert sum(p.numel() for p in head.parameters()) == pytest.approx(165.1e6, rel=0.02)
