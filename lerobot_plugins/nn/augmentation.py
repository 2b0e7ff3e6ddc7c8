"""openpi's training augmentation of pictures, drawn for each picture of a batch anew.

    geometry (base camera)   crop 95 % at a random place, resize back; rotate by up to 5 degrees
    colour (all cameras)     brightness, contrast around the picture's mean, saturation around the pixel's

The formulas are those of openpi's PyTorch port, in [0, 1] and in its order. That port draws once for a
whole batch; openpi's JAX code, which trained the published weights, draws for each picture, as here.

Legend: B batch, C channels, h x w picture size.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CROP = 0.95
MAX_DEGREES = 5.0
MIN_DEGREES = 0.1  # a smaller rotation is none
BRIGHTNESS = (0.7, 1.3)
CONTRAST = (0.6, 1.4)
SATURATION = (0.5, 1.5)


@dataclass(frozen=True)
class Draws:
    """Random numbers of one camera's pictures, each (B,): `top` and `left` of the crop in pixels, `degrees`
    of rotation, and the factors of the three colour changes."""

    top: Tensor
    left: Tensor
    degrees: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor


def draw(rng: np.random.Generator, shape: torch.Size, device: torch.device) -> Draws:
    """Draws for pictures of a shape (B, C, h, w); equal generators give equal draws, on any device."""
    batch, _, height, width = shape
    rows = [
        rng.integers(0, height - int(height * CROP) + 1, batch),
        rng.integers(0, width - int(width * CROP) + 1, batch),
        rng.uniform(-MAX_DEGREES, MAX_DEGREES, batch),
        rng.uniform(*BRIGHTNESS, batch),
        rng.uniform(*CONTRAST, batch),
        rng.uniform(*SATURATION, batch),
    ]
    # One transfer for all of them.
    return Draws(*torch.from_numpy(np.stack(rows).astype(np.float32)).to(device))


def augment_images(images_BChw: Tensor, rng: np.random.Generator, *, geometric: bool) -> Tensor:
    """Augmented pictures of one camera.

    Args:
        images_BChw: Float pictures in [-1, 1], at the size that the vision tower sees.
        rng: Where the draws come from; six per picture.
        geometric: Also crop and rotate: for the base camera, whose exact place matters little. A wrist
            camera's picture is where the gripper is.

    Returns:
        (B, C, h, w) in [-1, 1].
    """
    draws = draw(rng, images_BChw.shape, images_BChw.device)
    images = images_BChw / 2.0 + 0.5
    if geometric:
        images = rotate(crop(images, draws), draws)
    return change_colours(images, draws) * 2.0 - 1.0


def crop(images_BChw: Tensor, draws: Draws) -> Tensor:
    """Cut 95 % out of each picture and enlarge it to the old size, bilinearly."""
    images = _enlarge(images_BChw, draws.top, dim=2)
    return _enlarge(images, draws.left, dim=3)


def _enlarge(images_BChw: Tensor, start_B: Tensor, dim: int) -> Tensor:
    """One axis of `crop`: what `F.interpolate(align_corners=False)` does, with a start per picture."""
    size = images_BChw.shape[dim]
    cut = int(size * CROP)
    axis = [1, 1, 1, 1]
    axis[dim] = size
    start = start_B.long().view(-1, 1, 1, 1)
    source = (torch.arange(size, device=start.device).view(axis) + 0.5) * (cut / size) - 0.5
    source = source.clamp(min=0)
    low = source.long()
    high = (low + 1).clamp(max=cut - 1)
    first, second = (images_BChw.gather(dim, (start + at).expand_as(images_BChw)) for at in (low, high))
    return torch.lerp(first, second, source - low)


def rotate(images_BChw: Tensor, draws: Draws) -> Tensor:
    """Turn each picture around its centre, bilinearly, black outside."""
    height, width = images_BChw.shape[-2:]
    radians = (draws.degrees * torch.pi / 180.0)[:, None, None]
    # openpi spreads -1..1 over the centres of the outer pixels but reads it as their outer edges: the picture
    # shrinks by one pixel. Kept, since it is part of what the weights saw.
    y = torch.linspace(-1, 1, height, device=images_BChw.device)[:, None]
    x = torch.linspace(-1, 1, width, device=images_BChw.device)
    grid = torch.stack([x * radians.cos() - y * radians.sin(), x * radians.sin() + y * radians.cos()], dim=-1)
    turned = F.grid_sample(images_BChw, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return torch.where((draws.degrees.abs() > MIN_DEGREES)[:, None, None, None], turned, images_BChw)


def change_colours(images_BChw: Tensor, draws: Draws) -> Tensor:
    """Brightness, contrast, saturation; pictures in [0, 1], results clamped to it."""
    brightness, contrast, saturation = (
        factor[:, None, None, None] for factor in (draws.brightness, draws.contrast, draws.saturation)
    )
    images = images_BChw * brightness
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * contrast + mean
    grey = images.mean(dim=1, keepdim=True)
    return (grey + (images - grey) * saturation).clamp(0, 1)
