"""HAMLET's and MemoryVLA's memories against outputs of the published modules; rows that live on their own."""

import pytest
import torch
from published_vlm2 import close, filled, made
from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.episodic_memory import remember_different
from lerobot_policy_pi05_comet.vlm2.hamlet import HamletMemory, MomentContext
from lerobot_policy_pi05_comet.vlm2.memory import Memory, empty_state
from lerobot_policy_pi05_comet.vlm2.memory_vla import BankReading, MemoryVLAMemory
from lerobot_policy_pi05_comet.vlm2.working_memory import remember_latest

TEXT, MASK = made(1, 2, 8, a=3), torch.tensor([[True, False]])
ALL = torch.tensor([True])


def no_entries(working: int, episodic: int, tokens: int, width: int):
    return empty_state(1, working, episodic, tokens, width, torch.float32, torch.device("cpu"))


def hamlet() -> HamletMemory:
    return HamletMemory(8, 2, history=2)


def memory_vla() -> MemoryVLAMemory:
    return MemoryVLAMemory(8, slots=2, tau=0.7, alpha=0.5)


def step(module: Memory, state, tokens: Tensor, rows: Tensor):
    many = len(tokens)
    recalled = module.read(state, tokens, TEXT.expand(many, -1, -1), MASK.expand(many, -1))
    return recalled.joining_BXD, module.write(state, tokens, recalled.found, rows)


def test_the_published_moments_of_hamlet():
    module = filled(MomentContext(8, 2, layers=1), but=("norm1", "norm2"))
    nn.init.constant_(module.memory_gate, 0.5)
    state = no_entries(2, 0, 2, 8).working
    for k, expected in enumerate(
        [
            [-0.861033, 0.154102, 0.685998, -0.817223],
            [-0.942618, 0.499390, -0.878830, 0.159277],
            [-0.880995, 0.495695, -0.359141, -1.083102],
            [-0.866138, 0.869942, 0.169123, -0.019511],
        ]
    ):
        current = made(1, 2, 8, a=5 + 2 * k)
        close(module(state, current), expected)
        state = remember_latest(state, current, ALL)


def test_the_published_bank_of_memory_vla():
    module = filled(BankReading(4))
    nn.init.zeros_(module.gate_bias)
    state = no_entries(0, 2, 1, 4).episodic
    banks = []
    for k, expected in enumerate(
        [
            [-0.6, -0.1, 0.4, -0.4],
            [-0.6, -0.011117, -0.034020, -0.071707],
            [-0.6, 0.127373, -0.050944, -0.330920],
            [-0.6, 0.276863, 0.074320, -0.019721],
        ]
    ):
        current = made(1, 1, 4, a=5 + 2 * k)
        close(module(state, current[:, 0]), expected)
        state = remember_different(state, current, ALL, 0.7, 0.5, merging_refreshes=False)
        banks.append(state.tokens_BEND[0, 0, 0])
    close(banks[2], [-0.6, 0.1, 0.15, -0.45])
    close(banks[3], [-0.6, 0.5, 0.3, 0.1])


def test_parameter_counts_at_real_size():
    with torch.device("meta"):
        context, reading = MomentContext(2048, 8), BankReading(2048)
        whole = [HamletMemory(2048, 8, history=4), MemoryVLAMemory(2048, slots=16, tau=0.7, alpha=0.5)]

    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert (count(context), len(list(context.parameters()))) == (100_716_545, 25)
    assert count(reading) == 12_589_056
    assert [count(module) for module in whole] == [109_117_441, 20_981_760]


@pytest.mark.parametrize("make", [hamlet, memory_vla])
def test_each_row_lives_its_own_episode(make):
    """Two rows with different pasts, one of which skips a moment, are what they are alone."""
    torch.manual_seed(0)
    module = make()
    if isinstance(module, HamletMemory):
        nn.init.constant_(module.context.memory_gate, 0.5)
    past = [made(1, 3, 8, a=5 + 2 * k) for k in range(6)]
    together = module.empty(made(2, 3, 8))
    alone = [module.empty(made(1, 3, 8)) for _ in range(2)]
    first = None
    for k in range(4):
        rows = torch.tensor([True, k != 0])
        both = torch.cat([past[k], past[5 - k]])
        joining, together = step(module, together, both, rows)
        assert torch.isfinite(joining).all()
        for row in range(2):
            own, alone[row] = step(module, alone[row], both[row : row + 1], rows[row : row + 1])
            torch.testing.assert_close(joining[row : row + 1], own)
        first = joining if first is None else first
    forgetful, _ = step(module, module.empty(both), both, ALL.expand(2))
    assert not torch.allclose(joining, forgetful), "what was remembered is heard"


@pytest.mark.parametrize("make", [hamlet, memory_vla])
def test_passing_over_writes_what_reading_would(make):
    module = make()
    tokens = made(2, 3, 8)
    text, mask = TEXT.expand(2, -1, -1), MASK.expand(2, -1)
    rows = torch.tensor([True, False])
    expected = step(module, module.empty(tokens), tokens, rows)[1]
    got = module.pass_over(module.empty(tokens), tokens, text, mask, rows)
    for one, other in ((got.working, expected.working), (got.episodic, expected.episodic)):
        assert all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


@pytest.mark.parametrize("make", [hamlet, memory_vla])
def test_gradients_stay_finite_where_nothing_is_remembered(make):
    module = make()
    tokens = made(1, 3, 8)
    step(module, module.empty(tokens), tokens, ALL)[0].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)
