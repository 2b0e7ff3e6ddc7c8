"""Pictures for a SigLIP tower: antialiased resize equal to PIL's, then [-1, 1].

Checkpoints of this family were trained on pictures that PIL resized. A resize without antialiasing
differs from PIL's by up to 106 grey levels and torch's antialiased one by up to 21, so PIL's own
arithmetic is reproduced here: its filter weights in 22-bit fixed point, its two passes, its rounding
after each. The integer sums stay below 2^53, so float64 matrix products are exact, on any device.

Legend: B batch, C channels, H x W source size, h x w target size.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError

PRECISION_BITS = 22  # Pillow's `Resample.c`: 32 - 8 - 2
RESIZE_MODES = ("stretch", "pad")


def _triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _cubic(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    if x < 2.0:
        return (((x - 5) * x + 8) * x - 4) * a
    return 0.0


# name -> (filter, support in source pixels at scale 1)
FILTERS = {"bilinear": (_triangle, 1.0), "bicubic": (_cubic, 2.0)}


@lru_cache(maxsize=64)
def _pil_weights(source: int, target: int, interpolation: str, device: torch.device) -> Tensor:
    """Pillow's fixed-point weights of one axis, (target, source) float64 with integer values."""
    kernel, support = FILTERS[interpolation]
    scale = source / target
    filter_scale = max(scale, 1.0)
    support *= filter_scale
    weights = torch.zeros(target, source, dtype=torch.float64)
    for row in range(target):
        center = (row + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        last = min(int(center + support + 0.5), source)
        raw = [kernel((x - center + 0.5) / filter_scale) for x in range(first, last)]
        total = sum(raw)
        for x, weight in zip(range(first, last), raw, strict=True):
            fixed = weight / total * (1 << PRECISION_BITS)
            weights[row, x] = math.trunc(fixed + math.copysign(0.5, fixed))
    return weights.to(device)


def _one_pass(levels: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums over the last axis, rounded to 8-bit levels as Pillow's `clip8` does."""
    sums = levels @ weights.T
    half = 1 << (PRECISION_BITS - 1)
    return sums.add_(half).div_(1 << PRECISION_BITS).floor_().clamp_(0, 255)


def resize_like_pil(levels_BCHW: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Resize 8-bit pictures exactly as `PIL.Image.resize` does.

    Args:
        levels_BCHW: Grey levels 0..255 with integer values, any dtype.
        size: Target (height, width).
        interpolation: "bilinear" or "bicubic".

    Returns:
        (B, C, h, w) float64 with integer values 0..255.
    """
    height, width = size
    levels = levels_BCHW.to(torch.float64)
    if levels.shape[-1] != width:
        levels = _one_pass(levels, _pil_weights(levels.shape[-1], width, interpolation, levels.device))
    if levels.shape[-2] != height:
        turned = levels.transpose(-1, -2)
        levels = _one_pass(
            turned, _pil_weights(levels.shape[-2], height, interpolation, levels.device)
        ).transpose(-1, -2)
    return levels


def prepare_images(images_BCHW: Tensor, size: int, mode: str, interpolation: str) -> Tensor:
    """Camera pictures as the vision tower wants them.

    Args:
        images_BCHW: Float pictures in [0, 1], as LeRobot's loops deliver them (8-bit levels / 255).
        size: Side of the square target in pixels.
        mode: "stretch" ignores the aspect ratio (PaliGemma's own processor); "pad" keeps it and centres
            the picture on black (openpi's `resize_with_pad`).
        interpolation: "bicubic" (PaliGemma) or "bilinear" (openpi).

    Returns:
        (B, C, size, size) float32 in [-1, 1].

    Raises:
        ZooError: The mode is unknown.
    """
    levels = (images_BCHW.to(torch.float32) * 255).round()
    if mode == "stretch":
        levels = resize_like_pil(levels, (size, size), interpolation)
    elif mode == "pad":
        height, width = levels.shape[-2:]
        ratio = max(height / size, width / size)
        inner = int(height / ratio), int(width / ratio)
        top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
        canvas = levels.new_zeros(*levels.shape[:-2], size, size)
        canvas[..., top : top + inner[0], left : left + inner[1]] = resize_like_pil(
            levels, inner, interpolation
        ).to(canvas.dtype)
        levels = canvas
    else:
        raise ZooError(
            "unknown image_resize",
            got=mode,
            expected=" or ".join(RESIZE_MODES),
            do="set --policy.image_resize",
        )
    return (levels / 127.5 - 1.0).to(torch.float32)


def check_unit_range(images_BCHW: Tensor, name: str) -> None:
    """Raise if pictures are not in [0, 1]: normalised twice, or still 0..255."""
    low, high = torch.aminmax(images_BCHW)
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ZooError(
            f"pictures of {name} are out of range",
            got=f"values from {float(low):.3f} to {float(high):.3f}",
            expected="floats in [0, 1]",
            do="remove whatever normalises or scales them before the policy; it scales them itself",
        )
