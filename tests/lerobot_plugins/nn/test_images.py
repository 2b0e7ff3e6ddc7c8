"""Pictures are resized as PIL resizes them, to the last bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.images import check_unit_range, prepare_images, resize_like_pil

PIL_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
FILTERS = pytest.mark.parametrize("interpolation", PIL_FILTERS)

SIZES = [  # (height, width) of source and target
    ((480, 640), (224, 224)),
    ((256, 256), (224, 224)),
    ((96, 128), (168, 224)),
    ((64, 64), (64, 64)),
    ((64, 100), (64, 64)),
    ((37, 53), (64, 31)),
    ((1, 1), (8, 8)),
    ((200, 3), (16, 16)),
]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_pil(picture: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize(size[::-1], PIL_FILTERS[interpolation]))


def by_us(picture: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    levels = resize_like_pil(torch.from_numpy(picture).permute(2, 0, 1)[None], size, interpolation)
    return levels[0].permute(1, 2, 0).numpy()


def unit(picture: np.ndarray) -> torch.Tensor:
    """What LeRobot's loops deliver: (1, C, H, W) float in [0, 1]."""
    return torch.tensor(picture).permute(2, 0, 1)[None].float() / 255


def scaled(picture: np.ndarray) -> torch.Tensor:
    """What the tower wants: (1, C, H, W) float in [-1, 1]."""
    return (torch.tensor(picture).permute(2, 0, 1)[None].double() / 127.5 - 1).float()


@FILTERS
@pytest.mark.parametrize(("source", "target"), SIZES)
def test_resize_equals_pil_bit_for_bit(source, target, interpolation):
    picture = noise(*source)
    assert np.array_equal(by_us(picture, target, interpolation), by_pil(picture, target, interpolation))


@FILTERS
def test_resize_clips_overshoot_as_pil_does(interpolation):
    checkerboard = np.indices((48, 48)).sum(0) // 5 % 2
    picture = np.repeat((checkerboard * 255).astype(np.uint8)[..., None], 3, axis=2)
    for size in ((31, 31), (97, 97)):
        assert np.array_equal(by_us(picture, size, interpolation), by_pil(picture, size, interpolation))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(*[st.integers(1, 90)] * 4, st.sampled_from(sorted(PIL_FILTERS)))
def test_resize_equals_pil_for_any_size(height, width, new_height, new_width, interpolation):
    picture, size = noise(height, width, seed=height * width), (new_height, new_width)
    assert np.array_equal(by_us(picture, size, interpolation), by_pil(picture, size, interpolation))


def test_every_grey_level_survives_the_way_through_floats():
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    prepared = prepare_images(unit(ramp), 16, "stretch", "bicubic")
    assert torch.equal(prepared, scaled(ramp))
    assert prepared.dtype == torch.float32
    assert (prepared.min(), prepared.max()) == (-1, 1)


def test_stretch_equals_paligemmas_own_processor():
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    picture = noise(120, 160)
    processor = SiglipImageProcessorPil(
        size={"height": 64, "width": 64}, resample=3, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    expected = processor(Image.fromarray(picture), return_tensors="pt")["pixel_values"]
    assert torch.allclose(prepare_images(unit(picture), 64, "stretch", "bicubic"), expected, atol=1e-6)


@pytest.mark.parametrize("source", [(48, 64), (64, 48), (64, 64), (30, 97), (5, 90), (100, 100)])
@FILTERS
def test_pad_follows_openpis_rule(source, interpolation):
    """openpi `resize_with_pad`: shrink by the larger ratio, truncate, centre on black."""
    picture, size = noise(*source), 64
    height, width = source
    ratio = max(width / size, height / size)
    inner = int(height / ratio), int(width / ratio)
    canvas = Image.new("RGB", (size, size), 0)
    inside = Image.fromarray(picture).resize(inner[::-1], PIL_FILTERS[interpolation])
    canvas.paste(inside, (max(0, int((size - inner[1]) / 2)), max(0, int((size - inner[0]) / 2))))
    prepared = prepare_images(unit(picture), size, "pad", interpolation)
    assert torch.allclose(prepared, scaled(np.asarray(canvas)), atol=1e-7, rtol=0)


def test_unknown_mode_is_refused():
    with pytest.raises(ZooError, match="image_resize"):
        prepare_images(unit(noise(8, 8)), 8, "crop", "bicubic")


@pytest.mark.parametrize(
    "pictures",
    [unit(noise(8, 8)) * 2 - 1, unit(noise(8, 8)) * 255, torch.full((1, 3, 8, 8), float("nan"))],
    ids=["normalised already", "grey levels", "not a number"],
)
def test_pictures_out_of_range_are_refused_by_name(pictures):
    with pytest.raises(ZooError, match="wrist"):
        check_unit_range(pictures, "wrist")


def test_pictures_in_range_pass():
    check_unit_range(unit(noise(8, 8)), "wrist")
