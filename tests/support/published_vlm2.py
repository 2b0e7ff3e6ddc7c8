"""Weights and inputs by formula, with which the published modules' outputs are known to six decimals."""

import torch
from torch import Tensor, nn


def filled(module: nn.Module, but: tuple[str, ...] = ("layer_norm",)) -> nn.Module:
    """Every weight but the LayerNorms' is 0.05 * (((7 i + 3) mod 11) - 5), i its place in the flat tensor."""
    with torch.no_grad():
        for name, value in module.named_parameters():
            if not any(word in name for word in but):
                place = torch.arange(value.numel())
                value.copy_((0.05 * ((7 * place + 3) % 11 - 5)).reshape(value.shape))
    return module


def made(*shape: int, a: int = 5, m: int = 13, off: int = 6, scale: float = 0.1) -> Tensor:
    """scale * ((a i mod m) - off), i the place in the flat tensor."""
    place = torch.arange(torch.Size(shape).numel())
    return (scale * ((a * place) % m - off)).reshape(shape)


def close(got: Tensor, expected: list[float]) -> None:
    """The first numbers of a tensor, to six decimals."""
    expected_N = torch.tensor(expected)
    torch.testing.assert_close(got.detach().flatten()[: len(expected)], expected_N, atol=2e-6, rtol=0)
