"""Gradient scaling between networks: knowledge insulation (arXiv 2505.23705)."""

from torch import Tensor


def scale_gradient(x: Tensor, scale: float) -> Tensor:
    """x itself, with the gradient that flows back through it multiplied by `scale`.

    1 is the identity, 0 detaches.
    """
    if scale == 1.0:
        return x
    if scale == 0.0:
        return x.detach()
    return x * scale + x.detach() * (1 - scale)
