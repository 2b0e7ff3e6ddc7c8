import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rlds_samples import encoded, picture

from lerobot_plugins.conversion.images import decode, size, suffix, verify
from lerobot_plugins.errors import ZooError

SHAPE = (64, 64, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 95},
        {"quality": 30},
        {"subsampling": 0},
        {"subsampling": 1},
        {"progressive": True},
        {"optimize": True},
    ],
)
def test_jpeg_pixels_equal_those_of_pil(options: dict[str, Any]) -> None:
    for seed in range(10):
        file = encoded(seed, "JPEG", **options)
        np.testing.assert_array_equal(decode(file, SHAPE), np.asarray(Image.open(io.BytesIO(file))))
        verify(memoryview(file), SHAPE)


def test_png_pixels_are_exact() -> None:
    file = encoded(3, "PNG")
    np.testing.assert_array_equal(decode(memoryview(file), SHAPE), picture(3))
    verify(file, SHAPE)
    assert (suffix(file), size(file)) == (".png", (64, 64))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("read", [decode, verify])
def test_every_truncation_is_detected(kind: str, read: Any) -> None:
    file = encoded(1, kind)
    # The end chunk of a PNG has a checksum that holds no pixel.
    for length in range(len(file) - 4):
        with pytest.raises(ZooError):
            read(file[:length], SHAPE)


def test_every_flipped_byte_of_a_png_is_detected() -> None:
    file = encoded(1, "PNG", size=8)
    end_chunk = 12
    for position in range(len(file) - end_chunk):
        with pytest.raises(ZooError):
            decode(file[:position] + bytes([file[position] ^ 0x55]) + file[position + 1 :], (8, 8, 3))


def test_what_is_cut_out_of_a_jpeg_is_mostly_detected() -> None:
    generator = np.random.default_rng(0)
    file = encoded(1, "JPEG", size=256, quality=95)
    header = 620
    detected = 0
    for _ in range(200):
        start = int(generator.integers(header, len(file) - 400))
        try:
            decode(file[:start] + file[start + int(generator.integers(20, 200)) :], (256, 256, 3))
        except ZooError:
            detected += 1
    assert detected >= 60


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", "nothing"),
        (b"GIF89a..", "neither JPEG nor PNG"),
        (encoded(0, size=32), r"another size[^$]*\(32, 32, 3\)"),
        (encoded(0, "PNG", size=32), r"another size[^$]*\(32, 32, 3\)"),
    ],
)
def test_other_files_are_named(file: bytes, message: str) -> None:
    for read in (decode, verify):
        with pytest.raises(ZooError, match=message):
            read(file, SHAPE)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "L"), ("PNG", "RGBA")])
def test_pictures_that_are_not_rgb_are_named(kind: str, mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture(0)).convert(mode).save(buffer, kind)
    for read in (decode, verify):
        with pytest.raises(ZooError, match="not RGB"):
            read(buffer.getvalue(), SHAPE)
