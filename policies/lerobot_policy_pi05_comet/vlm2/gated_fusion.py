"""Gated fusion of what both memories say, feature by feature.

    gamma = sigmoid(MLP([Mw, Me]))                     2D -> hidden -> D, exact GELU
    fused = gamma * Mw + (1 - gamma) * Me

Source: VLM2 (arXiv 2511.20644), as in openpi-comet.
"""

import torch
from torch import Tensor, nn


class GatedFusion(nn.Module):
    """(B, N, D) of the working and of the episodic memory -> (B, N, D)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_mlp = nn.Sequential(nn.Linear(2 * width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, working_BND: Tensor, episodic_BND: Tensor) -> Tensor:
        gamma_BND = torch.sigmoid(self.gate_mlp(torch.cat([working_BND, episodic_BND], dim=-1)))
        return gamma_BND * working_BND + (1 - gamma_BND) * episodic_BND
