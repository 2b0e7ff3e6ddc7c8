"""Layers that both action heads have.

Legend: R rows, B observations, T state steps, P state dims, W head width.
"""

import torch
from torch import Tensor, nn

from lerobot_plugins.nn.flow_matching import sinusoidal_embedding

TIME_EMBEDDING = 256


def two_layers(inputs: int, width: int) -> nn.Sequential:
    """An MLP that brings an input to the head's width."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))


class TimeMLP(nn.Sequential):
    """An MLP of the sines and cosines of the flow time.

    Args:
        width: W.
        periods: The shortest and the longest.
    """

    def __init__(self, width: int, periods: tuple[float, float]) -> None:
        super().__init__(*two_layers(TIME_EMBEDDING, width))
        self.periods = periods

    def forward(self, time_R: Tensor) -> Tensor:
        """Times (R,) to (R, W)."""
        return super().forward(sinusoidal_embedding(time_R, TIME_EMBEDDING, *self.periods))


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer whose output is 0 until it is trained."""
    layer = nn.Linear(inputs, outputs)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    return layer


def states_of_steps(state: Tensor) -> Tensor:
    """States (B, T, P), oldest first, of states that may be those (B, P) of one step."""
    return state[:, None] if state.ndim == 2 else state
