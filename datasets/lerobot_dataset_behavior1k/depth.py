"""BEHAVIOR-1K's depth videos: a logarithmic law with 16 bits, stored as the luma of a grey or YUV video.

What a file holds varies (HEVC goes to 12 bits), so a picture is first brought to 16-bit grey, as the
simulator's own reader does it. An 8-bit or RGB video is another codec (later recordings paint depth in hues).
"""

import av
import numpy as np

from lerobot_plugins.conversion.depth import metres, quantize
from lerobot_plugins.errors import ZooError

LEVELS = 2**16
PIXEL_FORMATS = tuple(
    f"{layout}{bits}le" for layout in ("gray", "yuv420p", "yuv422p", "yuv444p") for bits in (10, 12, 14, 16)
)
_METRES_OF_CODE = metres(np.arange(LEVELS), LEVELS).astype(np.float32)


def encode_depth(depth: np.ndarray) -> np.ndarray:
    """Metres to codes, uint16; what lies outside 0.01 to 10 m gets the law's end."""
    return quantize(depth, LEVELS)


def decode_depth(codes: np.ndarray) -> np.ndarray:
    """Codes, uint16, to metres, float32."""
    return _METRES_OF_CODE[codes]


def check_pixel_format(pixel_format: str | None) -> None:
    """Raise `ZooError` unless a video of this pixel format can hold the law's codes."""
    if pixel_format not in PIXEL_FORMATS:
        raise ZooError(
            "the depth video has another pixel format",
            got=pixel_format,
            expected=f"one of {', '.join(PIXEL_FORMATS)}",
            do="convert with --depth none",
        )


def depth_of_frame(frame: av.VideoFrame) -> np.ndarray:
    """The depth of a decoded picture, float32 metres (H, W)."""
    return decode_depth(frame.to_ndarray(format="gray16le"))
