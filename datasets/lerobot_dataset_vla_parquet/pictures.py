"""Pictures of rows, read one by one, as the files that the writer takes: upright JPEG and PNG of RGB.

Such files pass untouched. Others (grey, with a palette, transparent, CMYK, turned by an EXIF tag, in another
format, or to be resized) become PNG files of the same pixels.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from lerobot_dataset_vla_parquet.episodes import Part
from lerobot_dataset_vla_parquet.inputs import InputFile
from lerobot_plugins.conversion.parquet_rows import cursor
from lerobot_plugins.errors import ZooError

Size = tuple[int, int]  # height, width
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True)
class RowPictures(Sequence[bytes]):
    """The pictures of one camera during one episode.

    Args:
        files: The recording's files.
        parts: The episode's rows.
        column: The column of the pictures.
        resize: What to resize them to.
        missing: What stands for a picture that is missing; None if that is an error.
    """

    files: Sequence[InputFile]
    parts: Sequence[Part]
    column: str
    resize: Size | None = None
    missing: bytes | None = None

    def __len__(self) -> int:
        return sum(part.stop - part.start for part in self.parts)

    def __getitem__(self, number: int) -> bytes:  # type: ignore[override]
        file, row = self._at(number)
        encoded = read_picture(file, self.column, row)
        if encoded is None:
            if self.missing is None:
                raise ZooError("there is no picture [bad-picture]", got="null", expected="a JPEG or PNG file")
            return self.missing
        return plain(encoded, self.resize)

    def place(self, number: int) -> str:
        """What messages call a picture."""
        file, row = self._at(number)
        return f"frame {number} ({file.name}, row {row}, column '{self.column}')"

    def _at(self, number: int) -> tuple[InputFile, int]:
        for part in self.parts:
            if number < part.stop - part.start:
                return self.files[part.file], part.start + number
            number -= part.stop - part.start
        raise IndexError(number)


def read_picture(file: InputFile, column: str, row: int) -> bytes | None:
    """The file of one picture; None if there is none."""
    value = cursor(file.path, (column,), file.name).row(row)[column]
    if pa.types.is_struct(value.type):
        value = value.field("bytes") if value.is_valid()[0].as_py() else pa.nulls(1)
    if not value.is_valid()[0].as_py():
        return None
    if pa.types.is_binary(value.type) or pa.types.is_large_binary(value.type):
        return bytes(value[0].as_buffer())
    return value.flatten().to_numpy(zero_copy_only=False).tobytes()


def plain(encoded: bytes, resize: Size | None = None) -> bytes:
    """The picture as an upright RGB JPEG or PNG of the wished size: itself, if it is one.

    Raises:
        ZooError: It is damaged, or has more than 8 bits.
    """
    if resize is None and (_is_plain_jpeg(encoded) or _is_plain_png(encoded)):
        return encoded
    try:
        with Image.open(io.BytesIO(encoded)) as opened:
            if opened.mode in _DEEP_MODES:
                raise ZooError(
                    "a picture has more than 8 bits [bad-picture]",
                    got=f"mode {opened.mode}",
                    expected="8 bits",
                )
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ZooError(
            "a picture cannot be decoded [bad-picture]",
            got=f"{error}; {len(encoded)} bytes that begin with {encoded[:8].hex(' ') or 'nothing'}",
            expected="a whole JPEG or PNG file",
        ) from error
    if resize is not None and image.size != resize[::-1]:
        image = image.resize(resize[::-1], Image.Resampling.BILINEAR)
    return _png(image)


def black(size: Size) -> bytes:
    """A black picture."""
    return _png(Image.fromarray(np.zeros((*size, 3), np.uint8)))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _is_plain_jpeg(encoded: bytes) -> bool:
    if not encoded.startswith(_JPEG) or b"Exif\0" in encoded[:65536]:
        return False
    try:
        colour_space = simplejpeg.decode_jpeg_header(encoded)[2]
    except ValueError:
        # Damage is for the strict decoder to tell.
        return True
    return colour_space in ("YCbCr", "RGB")


def _is_plain_png(encoded: bytes) -> bool:
    """Eight bits, colour type 2, and no EXIF."""
    return encoded.startswith(_PNG) and encoded[24:26] == b"\x08\x02" and b"eXIf" not in encoded
