"""Adaptive 3-D position injection: each patch learns where in space it lies, as far as it wants to.

    phi  = MLP(sinusoid(x, y, z))                      D -> hidden -> D, exact GELU
    gate = sigmoid(MLP([F, phi]))                      2D -> hidden -> 1
    F'   = F + gate * phi

An untrained phi is small (0.14): behind a closed gate it is normalised, or little is learned of it.

Source: VLM2 (arXiv 2511.20644), as in openpi-comet.

Legend: B batch, h w patches, D width of the picture tokens.
"""

import math

import torch
from torch import Tensor, nn

# Metres. The finest wave tells centimetres apart, the coarsest spans a room.
SHORTEST, LONGEST = 0.01, 10.0


def sinusoid_3d(point_3: Tensor, width: int) -> Tensor:
    """Sines and cosines of coordinates, (..., 3) -> (..., width).

    Each axis gets a third of the width, rounded down to an even number: sines, then cosines, of wavelengths
    spread evenly in logarithm from `SHORTEST` to `LONGEST`. What is left at the end is zero.
    """
    waves = max(width // 3 // 2, 1)
    exponent = torch.linspace(0, 1, waves, device=point_3.device, dtype=point_3.dtype)
    frequency = 2 * math.pi / (SHORTEST * (LONGEST / SHORTEST) ** exponent)
    angle = point_3[..., None] * frequency
    axes = torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(-2)
    return nn.functional.pad(axes, (0, width - axes.shape[-1]))


class PositionInjection(nn.Module):
    """What is added to the picture tokens.

    Args:
        width: D.
        hidden: Width inside both networks.
        normalized: Whether phi passes a LayerNorm, which the published one does not.
    """

    def __init__(self, width: int, hidden: int, *, normalized: bool = False) -> None:
        super().__init__()
        self.width = width
        self.pos_mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.norm = nn.LayerNorm(width) if normalized else nn.Identity()
        self.gate_network = nn.Sequential(nn.Linear(2 * width, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, tokens_BhwD: Tensor, point_Bhw3: Tensor, valid_Bhw: Tensor | None = None) -> Tensor:
        """gate * phi, (B, h, w, D).

        Args:
            tokens_BhwD: Picture tokens.
            point_Bhw3: Where each patch lies, in metres.
            valid_Bhw: False where that is unknown: nothing is added there. None is everywhere known.
        """
        phi_BhwD = self.norm(self.pos_mlp(sinusoid_3d(point_Bhw3, self.width)))
        gate_Bhw1 = torch.sigmoid(self.gate_network(torch.cat([tokens_BhwD, phi_BhwD], dim=-1)))
        added = gate_Bhw1 * phi_BhwD
        return added if valid_Bhw is None else added * valid_Bhw[..., None]
