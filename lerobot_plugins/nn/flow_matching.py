"""Conditional flow matching in the convention of openpi and LeRobot.

t = 1 is noise, t = 0 is data:

    x_t = t * noise + (1 - t) * action        target velocity  u = noise - action
    estimate of the data:  action = x_t - t * v

The other convention of the field (tau = 0 is noise; GR00T, the PaliGemma-VLA reference) is tau = 1 - t,
v_tau = -v. LeRobot's real-time chunking assumes the one above.

Legend: B batch, K draws of noise per observation, H chunk length, A action dims.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError

TIME_DISTRIBUTIONS = ("beta", "uniform", "beta_symmetric", "logit_normal")
NOISE_DISTRIBUTIONS = ("normal", "uniform")

Velocity = Callable[[Tensor, Any], Tensor]


def sample_time(
    rng: np.random.Generator, shape: Sequence[int], distribution: str = "beta", alpha: float = 1.5
) -> Tensor:
    """Training times in (0, 1), float32 of the given shape.

    `beta` is openpi's Beta(alpha, 1) * 0.999 + 0.001, which favours noisy times; `uniform` covers
    [0.001, 1]; `beta_symmetric` is the PaliGemma-VLA reference's 1 - clamp(Beta(2, 2), 0.02, 0.98);
    `logit_normal` is the sigmoid of a standard normal.

    Raises:
        ZooError: The distribution is unknown.
    """
    if distribution == "beta":
        time = rng.beta(alpha, 1.0, shape) * 0.999 + 0.001
    elif distribution == "uniform":
        time = rng.uniform(0.001, 1.0, shape)
    elif distribution == "beta_symmetric":
        time = 1.0 - rng.beta(2.0, 2.0, shape).clip(0.02, 0.98)
    elif distribution == "logit_normal":
        time = 1.0 / (1.0 + np.exp(-rng.standard_normal(shape)))
    else:
        raise ZooError("unknown time_sampling", got=distribution, expected=", ".join(TIME_DISTRIBUTIONS))
    return torch.from_numpy(np.asarray(time, dtype=np.float32))


def sample_noise(rng: np.random.Generator, shape: Sequence[int], distribution: str = "normal") -> Tensor:
    """Noise at t = 1, float32 of the given shape: standard normal, or uniform on [-1, 1].

    Raises:
        ZooError: The distribution is unknown.
    """
    if distribution == "normal":
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    if distribution == "uniform":
        return torch.from_numpy(rng.uniform(-1.0, 1.0, shape).astype(np.float32))
    raise ZooError("unknown noise_distribution", got=distribution, expected=", ".join(NOISE_DISTRIBUTIONS))


def flow_pair(action_BHA: Tensor, noise_BHA: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor]:
    """The noisy action x_t and the velocity u to regress; leading dims of time broadcast from the left."""
    time = time_B.reshape(*time_B.shape, *[1] * (noise_BHA.ndim - time_B.ndim))
    return time * noise_BHA + (1 - time) * action_BHA, noise_BHA - action_BHA


def weighted_mean(error: Tensor, weight: Tensor, keep_batch: bool) -> Tensor:
    """Mean of an error over its weighted elements, in float32.

    Args:
        error: (B, ...) errors.
        weight: Non-negative weights, broadcastable to the errors; 0 takes an element out of the
            numerator and of the denominator.
        keep_batch: True gives one mean per row (B,); False one mean over all elements, which weighs rows
            by their valid elements. A row without any weight gives 0.
    """
    error = error.float()
    weight = weight.to(error.dtype).expand_as(error)
    dims = tuple(range(1, error.ndim)) if keep_batch else tuple(range(error.ndim))
    total = weight.sum(dim=dims)
    return (error * weight).sum(dim=dims) / total.clamp(min=torch.finfo(error.dtype).tiny)


def euler_times(num_steps: int) -> list[float]:
    """The flow time at the start of each Euler step: 1, 1 - 1/N, ..., 1/N."""
    # The product first: for every N that is exact where the accumulated sum of dt is not.
    return [1.0 + step * (-1.0 / num_steps) for step in range(num_steps)]


def euler_integrate(
    velocity: Velocity,
    noise_BHA: Tensor,
    num_steps: int,
    guide: Callable[..., Tensor] | None = None,
    conditions: Sequence[Any] | None = None,
) -> Tensor:
    """Integrate a velocity field from t = 1 to t = 0 with `num_steps` forward Euler steps.

    Args:
        velocity: (x_BHA, time_B) -> v_BHA, or (x_BHA, condition) -> v_BHA.
        noise_BHA: The sample at t = 1; integration runs in its dtype (float32).
        num_steps: Steps of size 1 / num_steps; the field is evaluated at the start of each.
        guide: Optional replacement of one evaluation, called as
            `guide(x_t=..., time=..., original_denoise_step_partial=x -> v)`: LeRobot's real-time chunking.
        conditions: Handed to the velocity in place of the time, one per step: what was computed from
            `euler_times` for all steps at once.

    Returns:
        The sample at t = 0, same shape and dtype as the noise.
    """
    x_BHA = noise_BHA
    for step, time in enumerate(euler_times(num_steps)):
        if conditions is None:
            condition = torch.full((x_BHA.shape[0],), time, dtype=torch.float32, device=x_BHA.device)
        else:
            condition = conditions[step]

        def evaluate(x: Tensor, condition: Any = condition) -> Tensor:
            return velocity(x, condition)

        if guide is None:
            v_BHA = evaluate(x_BHA)
        else:
            v_BHA = guide(x_t=x_BHA, time=time, original_denoise_step_partial=evaluate)
        x_BHA = x_BHA + (-1.0 / num_steps) * v_BHA.to(x_BHA.dtype)
    return x_BHA


def sinusoidal_embedding(
    time_B: Tensor, dim: int, min_period: float = 4e-3, max_period: float = 4.0
) -> Tensor:
    """Sine and cosine of the flow time, periods spaced geometrically (openpi `posemb_sincos`).

    Returns:
        (B, dim) float32: sines in the first half, cosines in the second. The phases reach 2 pi / 4e-3, so
        they are computed in float64.
    """
    fraction = torch.linspace(0.0, 1.0, dim // 2, dtype=torch.float64, device=time_B.device)
    period = min_period * (max_period / min_period) ** fraction
    phase = time_B.to(torch.float64)[:, None] * (2 * torch.pi / period)[None, :]
    return torch.cat([phase.sin(), phase.cos()], dim=-1).to(torch.float32)
