"""Augmentation against openpi's formulas, written out for one picture at a time."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lerobot_plugins.nn import augmentation
from lerobot_plugins.nn.augmentation import Recipe, augment_images, centre_crop, draw


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def one_by_one(images: torch.Tensor, rng: np.random.Generator, geometric: bool) -> torch.Tensor:
    """The formulas of openpi's preprocessing, picture by picture."""
    draws = draw(rng, images.shape, images.device)
    results = []
    for row, image in enumerate(images):
        top, left, degrees, *factors, hue = (
            getattr(draws, field.name)[row].item() for field in dataclasses.fields(draws)
        )
        assert hue == 0, "openpi's recipe turns none"
        image = image[None] / 2 + 0.5
        if geometric:
            image = turned(cropped(image, int(top), int(left)), degrees)
        results.append(coloured(image, *factors) * 2 - 1)
    return torch.cat(results)


def cropped(image: torch.Tensor, top: int, left: int) -> torch.Tensor:
    height, width = image.shape[-2:]
    inner = image[..., top : top + int(height * 0.95), left : left + int(width * 0.95)]
    return F.interpolate(inner, size=(height, width), mode="bilinear", align_corners=False)


def turned(image: torch.Tensor, degrees: float) -> torch.Tensor:
    if abs(degrees) <= 0.1:
        return image
    height, width = image.shape[-2:]
    angle = torch.tensor(degrees) * torch.pi / 180
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    grid = torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], dim=-1)
    return F.grid_sample(image, grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)


def coloured(image: torch.Tensor, brightness: float, contrast: float, saturation: float) -> torch.Tensor:
    image = image * brightness
    image = (image - image.mean()) * contrast + image.mean()
    grey = image.mean(dim=1, keepdim=True)
    return torch.clamp(grey + (image - grey) * saturation, 0, 1)


@pytest.mark.parametrize("geometric", [False, True])
@pytest.mark.parametrize("shape", [(5, 3, 224, 224), (9, 3, 64, 64), (2, 3, 48, 80), (1, 3, 8, 8)])
def test_the_batch_is_augmented_as_its_pictures_are(shape, geometric):
    images = pictures(*shape)
    got = augment_images(images, np.random.default_rng(3), geometric=geometric)
    expected = one_by_one(images, np.random.default_rng(3), geometric)
    assert (got.shape, got.dtype) == (images.shape, torch.float32)
    # Noise is the hardest picture: neighbours differ by up to 2.
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_a_tiny_rotation_is_none():
    images = pictures(3, 3, 32, 32)
    draws = draw(np.random.default_rng(0), images.shape, images.device)
    small = dataclasses.replace(draws, degrees=torch.tensor([0.1, -0.05, 0.2]))
    same = (augmentation.rotate(images, small) == images).all(dim=(1, 2, 3))
    assert same.tolist() == [True, True, False]


def test_every_picture_has_its_own_draw():
    image = pictures(1, 3, 32, 32).expand(4, -1, -1, -1)
    got = augment_images(image, np.random.default_rng(0), geometric=True)
    assert len({tuple(row.flatten().tolist()) for row in got}) == 4


def test_draws_follow_the_generator_alone():
    images = pictures(3, 3, 32, 32)

    def augmented(seed: int) -> torch.Tensor:
        torch.rand(3)
        return augment_images(images, np.random.default_rng(seed), geometric=True)

    state = torch.get_rng_state()
    assert torch.equal(augmented(1), augmented(1))
    assert not torch.equal(augmented(1), augmented(2))
    torch.set_rng_state(state)
    augment_images(images, np.random.default_rng(1), geometric=True)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_given_pictures_stay_and_results_are_in_range():
    images = pictures(6, 3, 40, 40)
    copy = images.clone()
    got = augment_images(images, np.random.default_rng(0), geometric=True)
    assert torch.equal(images, copy)
    assert got.min() >= -1
    assert got.max() <= 1
    assert got.min() == -1, "corners that turned in are black"


def test_draws_fill_their_ranges():
    draws = draw(np.random.default_rng(0), torch.Size((4000, 3, 224, 224)), torch.device("cpu"))
    expected = {
        "top": (0, 12),
        "left": (0, 12),
        "degrees": (-5, 5),
        "brightness": (0.7, 1.3),
        "contrast": (0.6, 1.4),
        "saturation": (0.5, 1.5),
    }
    for name, (low, high) in expected.items():
        values = getattr(draws, name)
        assert values.min().item() == pytest.approx(low, abs=0.01)
        assert values.max().item() == pytest.approx(high, abs=0.01)
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.15)


def test_colour_alone_moves_no_pixel():
    """A bright dot on black stays where it is."""
    images = torch.full((2, 3, 32, 32), -1.0)
    images[:, :, 7, 20] = 1
    got = augment_images(images, np.random.default_rng(0), geometric=False).mean(dim=1)
    assert (got.flatten(1).argmax(dim=1) == 7 * 32 + 20).all()


def test_it_is_the_same_inside_autocast():
    images = pictures(2, 3, 32, 32)
    plain = augment_images(images, np.random.default_rng(0), geometric=True)
    with torch.autocast("cpu", torch.bfloat16):
        inside = augment_images(images, np.random.default_rng(0), geometric=True)
    assert torch.equal(plain, inside)


# Other recipes.


@pytest.mark.parametrize(("area", "cut", "offset"), [(0.9, 213, 5), (0.95, 218, 3)])
def test_the_centre_crop_keeps_an_area(area, cut, offset):
    """The published sides and offsets at 224 pixels."""
    images = pictures(2, 3, 224, 224)
    recipe = Recipe(crop=round(224 * area**0.5) / 224)
    assert recipe.kept(224) == cut
    inner = images[..., offset : offset + cut, offset : offset + cut]
    expected = F.interpolate(inner, size=(224, 224), mode="bilinear", align_corners=False)
    torch.testing.assert_close(centre_crop(images, recipe), expected, atol=1e-5, rtol=0)


def test_a_recipe_without_changes_changes_nothing():
    images = pictures(3, 3, 32, 32)
    same = (1.0, 1.0)
    recipe = Recipe(crop=1.0, max_degrees=0.0, brightness=same, contrast=same, saturation=same)
    got = augment_images(images, np.random.default_rng(0), geometric=True, recipe=recipe)
    torch.testing.assert_close(got, images, atol=1e-6, rtol=0)


def test_hues_turn_around_grey():
    """A third of the circle takes red to green; grey and the mean of a colour stay."""
    draws = draw(np.random.default_rng(0), torch.Size((2, 3, 1, 1)), torch.device("cpu"), Recipe(hue=0.1))
    assert draws.hue.abs().max() <= 0.2 * np.pi
    third = dataclasses.replace(draws, hue=torch.full((2,), 2 * np.pi / 3))
    images = torch.tensor([[0.9, 0.0, 0.0], [0.4, 0.4, 0.4]])[:, :, None, None]
    got = augmentation.turn_hues(images, third)[:, :, 0, 0]
    torch.testing.assert_close(got, torch.tensor([[0.0, 0.9, 0.0], [0.4, 0.4, 0.4]]), atol=1e-6, rtol=0)


def test_more_draws_leave_the_others_as_they_are():
    shape, device = torch.Size((5, 3, 64, 64)), torch.device("cpu")
    plain = draw(np.random.default_rng(0), shape, device)
    turned = draw(np.random.default_rng(0), shape, device, Recipe(hue=0.05))
    assert turned.hue.any()
    assert torch.equal(plain.saturation, turned.saturation)
