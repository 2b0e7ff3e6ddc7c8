"""3-D perception against outputs of the published modules, and what gates and unknown points do."""

import pytest
import torch
from published_vlm2 import close, filled, made
from torch import nn

from lerobot_policy_pi05_comet.vlm2.geometry.base import mean_points
from lerobot_policy_pi05_comet.vlm2.perception import Perception
from lerobot_policy_pi05_comet.vlm2.position_injection import PositionInjection, sinusoid_3d
from lerobot_policy_pi05_comet.vlm2.semantic_fusion import SemanticGeometricFusion
from lerobot_policy_pi05_comet.vlm2.view_alignment import ViewAlignment

TOKENS = made(1, 2, 2, 8)
POINTS = made(1, 4, 4, 3, a=3, m=7, off=3, scale=0.2)
GEOMETRY = made(1, 2, 2, 4, a=3, m=11, off=5)
VIEW = made(1, 1, 1, 4, a=2, m=5, off=2)


def grid(points: torch.Tensor) -> torch.Tensor:
    return mean_points(points, torch.ones(points.shape[:3], dtype=torch.bool), 2)[0]


def test_positions_become_sines_and_cosines():
    first = [3e-6, 0.062791, 1, 0.998027, -5e-6, -0.125333, 1, 0.992115, 1.6e-5, 0.187381, 1, 0.982287, 0, 0]
    close(sinusoid_3d(torch.tensor([0.1, -0.2, 0.3]), 14), first)
    second = [1.2e-5, 0.587785, 1, 0.809017, 2.4e-5, 0.951057, 1, 0.309017, -6e-6, -0.309017, 1, 0.951057, 0]
    close(sinusoid_3d(torch.tensor([1.0, 2.0, -0.5]), 14), [*second, 0])


def test_the_widest_sinusoid_ends_in_zeros():
    assert not sinusoid_3d(torch.rand(3), 2048)[-2:].any()


def test_position_injection():
    module = filled(PositionInjection(8, 6))
    placed = TOKENS + module(TOKENS, grid(POINTS))
    close(placed, [-0.626854, 0.034218, 0.402703, -0.459806])
    assert placed.sum().item() == pytest.approx(0.600654, abs=2e-6)
    assert placed.abs().sum().item() == pytest.approx(11.966836, abs=2e-6)


def test_view_alignment():
    aligned = filled(ViewAlignment(4, 4, 6))(GEOMETRY, VIEW)
    assert aligned.shape == (1, 5, 4)
    close(aligned, [-0.016454, 0.308063, 0.023574, -0.191651])
    close(aligned.flatten()[-2:], [0.09, -0.25])
    assert aligned.sum().item() == pytest.approx(0.462290, abs=2e-6)


def test_semantic_fusion():
    aligned = filled(ViewAlignment(4, 4, 6))(GEOMETRY, VIEW)
    fused = filled(SemanticGeometricFusion(8, 4, 2))(made(1, 4, 8), aligned)
    close(fused, [0.095559, 0.342149, 0.061481, -0.264520])
    assert fused.sum().item() == pytest.approx(0.110763, abs=2e-6)


def perception(mode: str) -> Perception:
    return filled(
        Perception(8, (4, 4), geometry_width=4, view_width=4, hidden=6, heads=2, residual_mode=mode)
    )


def perceived(module: Perception) -> torch.Tensor:
    everywhere = torch.ones(1, 2, 2, dtype=torch.bool)
    return module.fuse(TOKENS, grid(POINTS), everywhere, GEOMETRY, VIEW)


def test_the_published_form():
    module = perception("paper")
    seen = perceived(module)
    close(seen, [-1.123769, 0.677858, 0.852173, -1.506916])
    assert seen.abs().sum().item() == pytest.approx(31.011841, abs=1e-5)
    placed = module.layer_norm(TOKENS + module.position_injection(TOKENS, grid(POINTS)))
    close(placed, [-1.567881, 0.006721, 0.884411, -1.169991])
    assert placed.abs().sum().item() == pytest.approx(28.885685, abs=1e-5)


def test_closed_gates_change_no_bit_and_open():
    module = perception("gated_identity")
    nn.init.zeros_(module.position_gate.weight)
    nn.init.zeros_(module.fusion_gate.weight)
    seen = perceived(module)
    assert torch.equal(seen, TOKENS.flatten(1, 2))
    (seen * made(1, 4, 8, a=3)).sum().backward()
    for gate in (module.position_gate, module.fusion_gate):
        assert torch.linalg.matrix_rank(gate.weight.grad) > 1, "not one direction only"


def test_normalised_positions_do_not_start_small():
    module = PositionInjection(128, 64, normalized=True)
    tokens, points = torch.randn(1, 2, 2, 128), torch.rand(1, 2, 2, 3)
    phi_BhwD = 2 * module(torch.zeros_like(tokens), points)
    assert 0.5 < phi_BhwD.square().mean().sqrt() < 2, "the gate is near a half"
    small = PositionInjection(128, 64)(tokens, points)
    assert small.square().mean().sqrt() < 0.2


def test_nothing_is_injected_where_the_place_is_unknown():
    module = filled(PositionInjection(8, 6))
    known = torch.tensor([[[True, False], [True, True]]])
    added = module(TOKENS, grid(POINTS), known)
    assert not added[0, 0, 1].any()
    assert added[known].abs().min() > 0


def test_parameter_counts_at_real_size():
    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    with torch.device("meta"):
        whole = Perception(
            *(2048, (2048, 9)),
            geometry_width=512,
            view_width=512,
            hidden=1024,
            heads=8,
            residual_mode="paper",
        )
    assert count(whole.geometry_proj) == 1_049_088
    assert count(whole.view_proj) == 5_120
    assert count(whole.position_injection) == 8_393_729
    assert count(whole.view_alignment) == 2_099_712
    assert count(whole.fusion) == 10_493_952
    assert count(whole) - 1_049_088 - 5_120 == 20_991_489
