"""Decode the videos of an episode.

A missing or corrupt picture is an error, never a grey one. So libav and the number of frames find every cut
and 3 of 4 gaps of 100 bytes, but only 1 flipped bit in 7: H.265 as it is recorded carries no checksums.
libav's stricter `err_detect` finds no more.

H, W height and width.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import av.error
import numpy as np
from PIL import Image

from lerobot_dataset_behavior1k import depth
from lerobot_dataset_behavior1k.segmentation import Decoder
from lerobot_plugins.errors import ZooError

# The data set's own is HEVC; people shrink or re-encode it with the others.
_COLOUR_CODECS = ("hevc", "h264", "av1")
_COLOUR_FORMATS = ("yuv420p", "yuvj420p")
_DEPTH_CODECS = ("hevc", "ffv1")
_LABEL_CODECS = (*_COLOUR_CODECS, "ffv1")
_LABEL_FORMATS = (*_COLOUR_FORMATS, "yuv444p", "yuvj444p", "gbrp", "bgr0")
_ENCODE = "encode it again as one of these"
_FETCH = "fetch it again"


def decode_colour(path: Path, recorded: tuple[int, int], size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The pictures of a colour video, uint8 (H, W, 3).

    Args:
        path: The video.
        recorded: (H, W) that its pictures must have.
        size: (H, W) to shrink them to, as PIL's antialiased bilinear filter does.

    Raises:
        ZooError: The file is missing or damaged, or has another codec, pixel format or size.
    """
    for frame in _frames(path, recorded, _COLOUR_CODECS, _check_colour_format):
        yield _shrunk(frame.to_ndarray(format="rgb24"), size, Image.Resampling.BILINEAR)


def decode_depth(path: Path, recorded: tuple[int, int], size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The pictures of a depth video, float32 metres (H, W, 1).

    Args:
        path: The video.
        recorded: (H, W) that its pictures must have.
        size: (H, W) to shrink them to; the nearest pixel counts, since depths of two objects have no mean.

    Raises:
        ZooError: The file is missing or damaged, or has another codec, pixel format or size.
    """
    for frame in _frames(path, recorded, _DEPTH_CODECS, depth.check_pixel_format):
        yield _shrunk(depth.depth_of_frame(frame), size, Image.Resampling.NEAREST)[..., None]


def decode_segmentation(
    path: Path, recorded: tuple[int, int], size: tuple[int, int], ids: Sequence[int]
) -> Iterator[np.ndarray]:
    """The pictures of a segmentation video, ids, uint16 (H, W, 1).

    Args:
        path: The video.
        recorded: (H, W) that its pictures must have.
        size: (H, W) to shrink them to; the nearest pixel counts, since two ids have no mean.
        ids: The ids that the camera saw, in the order of the palette.

    Raises:
        ZooError: The file is missing or damaged, or has another codec, pixel format, size or palette.
    """
    decoder = Decoder(ids)
    for number, frame in enumerate(_frames(path, recorded, _LABEL_CODECS, _check_label_format)):
        ids_HW = decoder.ids(frame.to_ndarray(format="rgb24"), number)
        yield _shrunk(ids_HW, size, Image.Resampling.NEAREST)[..., None]


def _frames(
    path: Path, recorded: tuple[int, int], codecs: tuple[str, ...], check_format: Callable[[str | None], None]
) -> Iterator[av.VideoFrame]:
    number = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ZooError("the file holds no video", expected="one video stream", do=_FETCH)
            stream = container.streams.video[0]
            if stream.codec_context.name not in codecs:
                raise ZooError(
                    "the video has another codec",
                    got=stream.codec_context.name,
                    expected=f"one of {', '.join(codecs)}",
                    do=_ENCODE,
                )
            check_format(stream.codec_context.pix_fmt)
            # Episodes are decoded side by side.
            stream.codec_context.thread_count = 1
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise _damaged(number, "a corrupt picture")
                # A picture of another shape would be distorted when it is shrunk.
                if (frame.height, frame.width) != recorded:
                    raise ZooError(
                        f"frame {number} has another size than meta/info.json says",
                        got=(frame.height, frame.width),
                        expected=recorded,
                        do="fetch it again; if you made other videos, put their shape into meta/info.json",
                    )
                yield frame
                number += 1
    except FileNotFoundError as error:
        raise ZooError(
            "the video is missing", got="no file", expected="a video of this camera", do=_FETCH
        ) from error
    except av.error.FFmpegError as error:
        raise _damaged(number, error.strerror) from error


def _damaged(number: int, found: object) -> ZooError:
    return ZooError(
        f"the video is damaged at frame {number}",
        got=found,
        expected="pictures that can be decoded to the last",
        do=_FETCH,
    )


def _check_colour_format(pixel_format: str | None) -> None:
    _check_format(pixel_format, _COLOUR_FORMATS)


def _check_label_format(pixel_format: str | None) -> None:
    _check_format(pixel_format, _LABEL_FORMATS)


def _check_format(pixel_format: str | None, formats: tuple[str, ...]) -> None:
    if pixel_format not in formats:
        raise ZooError(
            "the video has another pixel format",
            got=pixel_format,
            expected=f"one of {', '.join(formats)}",
            do=_ENCODE,
        )


def _shrunk(image: np.ndarray, size: tuple[int, int], filter_: Image.Resampling) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), filter_))
