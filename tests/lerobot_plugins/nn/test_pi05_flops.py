"""The arithmetic of one forward pass at real size, counted on the meta device."""

import pytest
import torch
from stock_pi05 import SmallStockPI05
from torch.utils.flop_counter import FlopCounterMode

from lerobot_plugins.nn import paligemma
from lerobot_plugins.nn.action_expert import GEOMETRIES
from lerobot_plugins.nn.pi05 import PI05Network

CHUNK = 50


def observation(cameras: int, tokens: int) -> tuple:
    with torch.device("meta"):
        return (
            [torch.empty(1, 3, 224, 224) for _ in range(cameras)],
            [torch.ones(1, dtype=torch.bool) for _ in range(cameras)],
            torch.zeros(1, tokens, dtype=torch.long),
            torch.ones(1, tokens, dtype=torch.bool),
        )


@pytest.fixture(scope="module")
def noisy():
    return torch.empty(1, CHUNK, 32, device="meta"), torch.empty(1, device="meta")


@pytest.fixture(scope="module")
def ours() -> PI05Network:
    geometry = paligemma.geometry_of("paligemma_3b", paligemma.SCRATCH)
    geometry["text_config"]["vocab_size"] = 257152
    with torch.device("meta"):
        return PI05Network(paligemma.build_paligemma(geometry), "gemma_300m", 32)


def test_the_number_of_weights(ours):
    """pi0.5 has 3,616,757,520; 263,323,648 of them are a language head of the expert that nothing uses."""
    assert sum(p.numel() for p in ours.parameters()) == 3_616_757_520 - 263_323_648


def test_lerobots_forward_pass_for_scale(noisy):
    expert = GEOMETRIES["gemma_300m"]
    with torch.device("meta"):
        stock = SmallStockPI05(paligemma.GEOMETRIES["paligemma_3b"], expert.width, expert.mlp_width, CHUNK)
    action, time = noisy
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        stock(*observation(3, 200), action, action, time)
    assert counter.get_total_flops() / 1e12 == pytest.approx(4.67, rel=0.01)


@pytest.mark.parametrize(("cameras", "tokens", "most"), [(3, 200, 4.5), (2, 48, 2.7)])
def test_our_forward_pass(ours, noisy, cameras, tokens, most):
    """Two cameras and 48 tokens are what LIBERO has; LeRobot computes three and 200 for it."""
    action, time = noisy
    with FlopCounterMode(display=False) as counter:
        prefix = ours.encoder(*observation(cameras, tokens), keys_values=True, hidden=False)
        ours.velocity(action, ours.modulations(time), ours.context(prefix, CHUNK))
    assert counter.get_total_flops() / 1e12 < most
