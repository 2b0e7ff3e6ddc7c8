"""Training augmentation of pictures, drawn for each picture of a batch anew. openpi's recipe:

    geometry (base camera)   crop 95 % at a random place, resize back; rotate by up to 5 degrees
    colour (all cameras)     brightness, contrast around the picture's mean, saturation around the pixel's

Another `Recipe` has other ranges, and may turn hues. The formulas are those of openpi's PyTorch port, in
[0, 1] and in its order. That port draws once for a whole batch; openpi's JAX code, which trained the
published weights, draws for each picture, as here.

Legend: B batch, C channels, h x w picture size.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MIN_DEGREES = 0.1  # a smaller rotation is none


@dataclass(frozen=True)
class Recipe:
    """How far pictures are changed.

    Args:
        crop: Share of height and width that a crop keeps.
        max_degrees: Largest rotation to either side.
        brightness: Range of the factor; likewise contrast and saturation.
        hue: Largest turn of the colours around grey to either side, as a share of the circle.
    """

    crop: float = 0.95
    max_degrees: float = 5.0
    brightness: tuple[float, float] = (0.7, 1.3)
    contrast: tuple[float, float] = (0.6, 1.4)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: float = 0.0

    def kept(self, size: int) -> int:
        """Pixels of one axis that a crop keeps."""
        return int(size * self.crop + 1e-6)  # a share made of whole pixels gives them back


OPENPI = Recipe()


@dataclass(frozen=True)
class Draws:
    """Random numbers of one camera's pictures, each (B,): `top` and `left` of the crop in pixels, `degrees`
    of rotation, the factors of three colour changes, and the turn of the `hue` in radians."""

    top: Tensor
    left: Tensor
    degrees: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor


def draw(rng: np.random.Generator, shape: torch.Size, device: torch.device, recipe: Recipe = OPENPI) -> Draws:
    """Draws for pictures of a shape (B, C, h, w); equal generators give equal draws, on any device."""
    batch, _, height, width = shape
    rows = [
        rng.integers(0, height - recipe.kept(height) + 1, batch),
        rng.integers(0, width - recipe.kept(width) + 1, batch),
        rng.uniform(-recipe.max_degrees, recipe.max_degrees, batch),
        rng.uniform(*recipe.brightness, batch),
        rng.uniform(*recipe.contrast, batch),
        rng.uniform(*recipe.saturation, batch),
        rng.uniform(-recipe.hue, recipe.hue, batch) * 2 * np.pi if recipe.hue else np.zeros(batch),
    ]
    # One transfer for all of them.
    return Draws(*torch.from_numpy(np.stack(rows).astype(np.float32)).to(device))


def augment_images(
    images_BChw: Tensor, rng: np.random.Generator, *, geometric: bool, recipe: Recipe = OPENPI
) -> Tensor:
    """Augmented pictures of one camera.

    Args:
        images_BChw: Float pictures in [-1, 1], at the size that the vision tower sees.
        rng: Where the draws come from.
        geometric: Also crop and rotate: for the base camera, whose exact place matters little. A wrist
            camera's picture is where the gripper is.
        recipe: How far pictures are changed.

    Returns:
        (B, C, h, w) in [-1, 1].
    """
    draws = draw(rng, images_BChw.shape, images_BChw.device, recipe)
    images = images_BChw / 2.0 + 0.5
    if geometric:
        images = crop(images, draws.top, draws.left, recipe)
        images = rotate(images, draws) if recipe.max_degrees else images
    images = turn_hues(images, draws) if recipe.hue else images
    return change_colours(images, draws) * 2.0 - 1.0


def centre_crop(images_BChw: Tensor, recipe: Recipe) -> Tensor:
    """The crop from the middle, enlarged to the old size: what a policy trained on random crops acts on."""
    top, left = ((size - recipe.kept(size)) // 2 for size in images_BChw.shape[-2:])
    starts = torch.tensor([[top], [left]], device=images_BChw.device).expand(-1, len(images_BChw))
    return crop(images_BChw, starts[0], starts[1], recipe)


def crop(images_BChw: Tensor, top_B: Tensor, left_B: Tensor, recipe: Recipe = OPENPI) -> Tensor:
    """Cut the recipe's share out of each picture and enlarge it to the old size, bilinearly."""
    images = _enlarge(images_BChw, top_B, recipe, dim=2)
    return _enlarge(images, left_B, recipe, dim=3)


def _enlarge(images_BChw: Tensor, start_B: Tensor, recipe: Recipe, dim: int) -> Tensor:
    """One axis of `crop`: what `F.interpolate(align_corners=False)` does, with a start per picture."""
    size = images_BChw.shape[dim]
    cut = recipe.kept(size)
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


def turn_hues(images_BChw: Tensor, draws: Draws) -> Tensor:
    """Turn colours around the grey axis; pictures in [0, 1], results clamped to it. Brightness stays."""
    cos, sin = draws.hue.cos()[:, None, None], draws.hue.sin()[:, None, None]
    one = torch.full((3, 3), 1 / 3, device=cos.device)  # the projection on grey
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=cos.device) / 3**0.5
    turn_B33 = cos * (torch.eye(3, device=cos.device) - one) + sin * cross + one
    return torch.einsum("bij,bjhw->bihw", turn_B33, images_BChw).clamp(0, 1)
