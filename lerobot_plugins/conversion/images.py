"""Decode and verify the pictures of a source: JPEG and PNG.

JPEG goes through libjpeg-turbo's strict mode (simplejpeg): its pixels equal PIL's bit for bit, at twice the
speed, and whatever libjpeg finds odd is an error. PIL and OpenCV fill what is missing within a JPEG
with grey and say nothing; measured on damaged 256x256 pictures:

                               simplejpeg strict   PIL     OpenCV
    truncated                       100 %          100 %   100 %
    some 100 bytes cut out           58 %            0 %     0 %
    one bit flipped                  22 %            0 %     0 %
"""

import io
import zlib

import numpy as np
import simplejpeg
from PIL import Image

from lerobot_plugins.errors import ZooError

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_COLOUR_SPACES = ("YCbCr", "RGB")
LABELS = 2**16


def decode(encoded: bytes | memoryview, shape: tuple[int, ...]) -> np.ndarray:
    """Decode one RGB picture.

    Args:
        encoded: A JPEG or PNG file.
        shape: The expected (H, W, 3).

    Returns:
        uint8, (H, W, 3).

    Raises:
        ZooError: The picture is damaged, of another size, not RGB, or neither JPEG nor PNG.
    """
    if suffix(encoded) == ".png":
        return _decode_png(encoded, shape)
    _check_jpeg_header(encoded, shape)
    try:
        return simplejpeg.decode_jpeg(encoded)
    except ValueError as error:
        raise _damaged("JPEG", error) from error


def verify(encoded: bytes | memoryview, shape: tuple[int, ...]) -> None:
    """Raise what `decode` would raise, at half its cost: a JPEG is parsed whole, but few pixels are made."""
    if suffix(encoded) == ".png":
        _decode_png(encoded, shape)
        return
    _check_jpeg_header(encoded, shape)
    try:
        simplejpeg.decode_jpeg(encoded, min_height=1, min_width=1)
    except ValueError as error:
        raise _damaged("JPEG", error) from error


def encode_labels(labels_HW: np.ndarray) -> bytes:
    """A grey PNG of 16 bits, which LeRobot reads as float32 (1, H, W) without loss; uint16 (H, W)."""
    file = io.BytesIO()
    Image.fromarray(labels_HW).save(file, "PNG")
    return file.getvalue()


def size(encoded: bytes | memoryview) -> tuple[int, int]:
    """Height and width, from the header alone."""
    if suffix(encoded) == ".png":
        return int.from_bytes(encoded[20:24], "big"), int.from_bytes(encoded[16:20], "big")
    return _jpeg_header(encoded)[:2]


def suffix(encoded: bytes | memoryview) -> str:
    """`.jpg` or `.png`, by the first bytes."""
    if encoded[:3] == _JPEG:
        return ".jpg"
    if encoded[:8] == _PNG:
        return ".png"
    raise ZooError(
        "a picture is neither JPEG nor PNG",
        got=f"{len(encoded)} bytes that begin with {bytes(encoded[:8]).hex(' ') or 'nothing'}",
        expected=f"{_JPEG.hex(' ')} (JPEG) or {_PNG.hex(' ')} (PNG)",
    )


def _check_jpeg_header(encoded: bytes | memoryview, shape: tuple[int, ...]) -> None:
    height, width, colour_space = _jpeg_header(encoded)
    if colour_space not in _COLOUR_SPACES:
        raise ZooError("a picture is not RGB", got=f"a {colour_space} JPEG", expected="three colour channels")
    _check_shape((height, width, 3), shape)


def _jpeg_header(encoded: bytes | memoryview) -> tuple[int, int, str]:
    try:
        height, width, colour_space, _ = simplejpeg.decode_jpeg_header(encoded)
    except ValueError as error:
        raise _damaged("JPEG", error) from error
    return height, width, colour_space


def _decode_png(encoded: bytes | memoryview, shape: tuple[int, ...]) -> np.ndarray:
    _check_shape((*size(encoded), 3), shape)
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            # Decoding stops at the last pixel and would not miss what comes after it.
            image.verify()
        with Image.open(io.BytesIO(encoded)) as image:
            if image.mode != "RGB":
                raise ZooError("a picture is not RGB", got=f"a PNG of mode {image.mode}", expected="mode RGB")
            return np.array(image)
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        raise _damaged("PNG", error) from error


def _damaged(kind: str, error: Exception) -> ZooError:
    return ZooError(f"the {kind} picture is damaged", got=error, expected="a whole picture")


def _check_shape(got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != tuple(expected):
        raise ZooError("a picture has another size", got=got, expected=tuple(expected))
