"""Working and episodic memory against outputs of the published modules; rows, padding, pooling."""

import pytest
import torch
from published_vlm2 import close, filled, made
from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.dual_memory import DualMemory
from lerobot_policy_pi05_comet.vlm2.episodic_memory import remember_different
from lerobot_policy_pi05_comet.vlm2.gated_fusion import GatedFusion
from lerobot_policy_pi05_comet.vlm2.state import EpisodicState, MemoryState

TEXT, MASK = made(1, 2, 8, a=3), torch.tensor([[True, False]])
ALL = torch.tensor([True])


def memory(mode: str = "paper", **changes: object) -> DualMemory:
    sizes = {"working": 2, "episodic": 2, "tau": 0.7, "alpha": 0.5, "residual_mode": mode}
    module = filled(DualMemory(8, 2, 6, **(sizes | changes)))
    if mode == "paper":
        nn.init.constant_(module.memory_gate, 0.5)
    return module


def step(module: DualMemory, state: MemoryState, tokens: Tensor, rows: Tensor = ALL):
    many = len(tokens)
    out, fused, _ = module.read(state, tokens, TEXT.expand(many, -1, -1), MASK.expand(many, -1))
    return out, module.write(state, tokens, fused, rows)


def test_the_published_episode():
    module = memory()
    state = module.empty(made(1, 3, 8))
    expected = [
        [-1.588880, -0.291835, 1.005210, -1.070062],
        [-1.178741, 0.829194, -1.173883, 0.563709],
        [-1.105014, 1.048241, -0.127548, -1.238982],
        [-1.193494, 1.340986, 0.649130, -0.011764],
    ]
    counts = []
    for k, first in enumerate(expected):
        out, state = step(module, state, made(1, 3, 8, a=5 + 2 * k))
        close(out, first)
        counts.append((int(state.working.valid_BW.sum()), int(state.episodic.count_B)))
    assert counts == [(1, 1), (2, 2), (2, 2), (2, 2)]
    window, bank = state.working.tokens_BWND, state.episodic.tokens_BEND
    close(window, [-0.6, 0.3, -0.1, -0.5])
    assert window.sum().item() == pytest.approx(0.6, abs=2e-6)
    assert window.abs().sum().item() == pytest.approx(15.8, abs=1e-5)
    assert bank.sum().item() == pytest.approx(0.129286, abs=2e-6)
    assert bank.abs().sum().item() == pytest.approx(11.549662, abs=1e-5)
    assert state.episodic.last_used_BE.tolist() == [[1, 4]]
    assert state.episodic.step_B.tolist() == [4]


def test_the_bank_merges_what_is_alike_and_replaces_what_was_written_longest_ago():
    state = EpisodicState(
        torch.zeros(1, 2, 1, 2), *(torch.zeros(s, dtype=torch.long) for s in ((1,), (1, 2), (1,)))
    )
    expected = [
        ([1.0, 0.0], [[1, 0], [0, 0]], [1, 0]),
        ([0.0, 1.0], [[1, 0], [0, 1]], [1, 2]),
        ([0.9, 0.1], [[0.95, 0.05], [0, 1]], [3, 2]),
        ([-1.0, 0.0], [[0.95, 0.05], [-1, 0]], [3, 4]),
    ]
    for entry, bank, used in expected:
        state = remember_different(state, torch.tensor([[entry]]), ALL, 0.7, 0.5)
        torch.testing.assert_close(state.tokens_BEND[0, :, 0], torch.tensor(bank, dtype=torch.float32))
        assert state.last_used_BE.tolist() == [used]


def test_gated_fusion():
    fused = filled(GatedFusion(4, 6))(made(1, 2, 4), made(1, 2, 4, a=3))
    close(fused, [-0.6, -0.184968, 0.203272, -0.004622])
    assert fused.sum().item() == pytest.approx(0.040314, abs=2e-6)


def test_parameter_counts_at_real_size():
    with torch.device("meta"):
        module = DualMemory(2048, 8, 1024, working=8, episodic=32, tau=0.7, alpha=0.5, residual_mode="paper")
    counts = [sum(p.numel() for p in part.parameters()) for part in (module.working_memory, module)]
    assert counts == [16_785_408, 56_658_945]
    assert len(list(module.parameters())) == 29


@pytest.mark.parametrize("mode", ["paper", "gated_identity"])
def test_each_row_lives_its_own_episode(mode):
    """Two rows with different pasts, one of which skips a moment, are what they are alone."""
    module = memory(mode)
    past = [made(1, 3, 8, a=5 + 2 * k) for k in range(6)]
    together = module.empty(made(2, 3, 8))
    alone = [module.empty(made(1, 3, 8)) for _ in range(2)]
    for k in range(3):
        rows = torch.tensor([True, k != 1])
        both = torch.cat([past[k], past[5 - k]])
        out, together = step(module, together, both, rows)
        for row in range(2):
            own, alone[row] = step(module, alone[row], both[row : row + 1], rows[row : row + 1])
            torch.testing.assert_close(out[row : row + 1], own)
    for row in range(2):
        part = together.map(lambda value, row=row: value[row : row + 1])
        torch.testing.assert_close(part.working.tokens_BWND, alone[row].working.tokens_BWND)
        torch.testing.assert_close(part.episodic.tokens_BEND, alone[row].episodic.tokens_BEND)


def test_gated_an_empty_memory_and_a_closed_gate_change_no_bit():
    module = memory("gated_identity")
    tokens = made(1, 3, 8)
    nn.init.constant_(module.layer_norm.bias, 0.3)
    out, state = step(module, module.empty(tokens), tokens)
    assert torch.equal(out, tokens), "nothing is remembered yet"
    assert not torch.equal(step(module, state, tokens)[0], tokens)
    nn.init.zeros_(module.memory_gate.weight)
    assert torch.equal(step(module, state, tokens)[0], tokens)


def test_a_known_number_of_writes_takes_less_room_and_gives_the_same():
    module = memory("gated_identity", working=4, episodic=4)
    tokens = made(1, 3, 8)
    roomy, tight = module.empty(tokens), module.empty(tokens, writes=2)
    for k in range(2):
        _, roomy = step(module, roomy, made(1, 3, 8, a=7 + k))
        _, tight = step(module, tight, made(1, 3, 8, a=7 + k))
    assert tight.nbytes < roomy.nbytes
    torch.testing.assert_close(step(module, tight, tokens)[0], step(module, roomy, tokens)[0])


def test_a_row_without_text_asks_with_its_pictures():
    module = memory("gated_identity")
    tokens = made(1, 3, 8)
    _, state = step(module, module.empty(tokens), made(1, 3, 8, a=7))
    out, _, _ = module.read(state, tokens, TEXT, torch.tensor([[False, False]]))
    assert torch.isfinite(out).all()
    out.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def test_pooled_entries_are_means_over_squares_of_patches():
    module = memory("gated_identity", pool_to=4, views=2)
    tokens = torch.arange(2 * 16 * 8, dtype=torch.float32).reshape(1, 32, 8)
    _, state = step(module, module.empty(tokens), tokens)
    entry = state.working.tokens_BWND[0, -1]
    assert entry.shape == (8, 8)
    torch.testing.assert_close(entry[0], tokens[0, [0, 1, 4, 5]].mean(0))
    torch.testing.assert_close(entry[5], tokens[0, [18, 19, 22, 23]].mean(0))


def test_entries_may_be_stored_in_bfloat16():
    module = memory("gated_identity", store_dtype=torch.bfloat16)
    tokens = made(1, 3, 8)
    _, state = step(module, module.empty(tokens), tokens)
    assert state.working.tokens_BWND.dtype == state.episodic.tokens_BEND.dtype == torch.bfloat16
    assert step(module, state, tokens)[0].dtype == torch.float32
