"""A gate that is a matrix of zeros: nothing passes until training opens it.

    y = x W                     W (D, D) = 0 at the start

At the start W's gradient is the outer product of x with what the loss asks of the tokens, so any direction
that lowers the loss opens. A scalar gate has only the one direction that an untrained x happens to have.

Source: the zero convolution of ControlNet (arXiv 2302.05543, section 3.1), without its bias.
"""

import torch
from torch import Tensor, nn


class ZeroGate(nn.Module):
    """Args: width: D, of what passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return x @ self.weight

    def opening(self) -> Tensor:
        """How far it is open: 0 is closed, 1 passes x at its own size.

        It is the root mean square length of W's rows.
        """
        return self.weight.detach().square().sum(dim=1).mean().sqrt()
