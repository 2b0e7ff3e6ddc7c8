import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from lerobot.configs.video import DepthEncoderConfig, RGBEncoderConfig
from rlds_samples import picture

from lerobot_plugins.conversion import depth, video
from lerobot_plugins.errors import ZooError

SHAPE = (64, 64, 3)


def encode(path: Path, frames: int, fps: int, seed: int = 0) -> Path:
    video.encode((picture(seed + frame) for frame in range(frames)), fps, SHAPE, path)
    return path


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def pixels(path: Path, pixel_format: str = "rgb24") -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=pixel_format) for frame in container.decode(video=0)]


def test_the_encoder_is_set_as_lerobot_sets_it() -> None:
    config = RGBEncoderConfig()
    assert (config.vcodec, config.pix_fmt) == (video.COLOUR.codec, video.COLOUR.pixel_format)
    assert config.get_codec_options(encoder_threads=1, as_strings=True) == video.COLOUR.options


def test_depth_is_encoded_as_lerobots_is_but_for_its_key_frames() -> None:
    config = DepthEncoderConfig()
    assert config.pix_fmt == video.DEPTH.pixel_format
    assert av.Codec(video.DEPTH.codec, "w").id == av.Codec(config.vcodec, "w").id
    assert config.extra_options["x265-params"] in video.DEPTH.options["x265-params"]


@pytest.mark.parametrize("size", [32, 64, 72])
def test_depth_is_lossless(tmp_path: Path, size: int) -> None:
    """Noise is what lossless x265 fails on where a picture follows another."""
    codes_THW = np.random.default_rng(size).integers(0, depth.CODES, (12, size, size), dtype=np.uint16)
    video.encode(iter(codes_THW), 30, (size, size, 1), tmp_path / "a.mp4", video.DEPTH)
    np.testing.assert_array_equal(pixels(tmp_path / "a.mp4", "gray12le"), codes_THW)


def test_joined_depth_keeps_every_code_at_its_time(tmp_path: Path) -> None:
    codes_THW = np.random.default_rng(0).integers(0, depth.CODES, (9, 64, 72), dtype=np.uint16)
    lengths = [2, 1, 6]
    parts = [tmp_path / f"{i}.mp4" for i in range(3)]
    for part, codes in zip(parts, np.split(codes_THW, np.cumsum(lengths)[:-1]), strict=True):
        video.encode(iter(codes), 30, (64, 72, 1), part, video.DEPTH)
    video.concatenate(parts, lengths, 30, tmp_path / "whole.mp4")
    assert times(tmp_path / "whole.mp4") == [Fraction(frame, 30) for frame in range(9)]
    np.testing.assert_array_equal(pixels(tmp_path / "whole.mp4", "gray12le"), codes_THW)


@pytest.mark.parametrize("fps", [5, 7, 20, 30, 50])
def test_joined_videos_show_every_frame_at_its_time(tmp_path: Path, fps: int) -> None:
    lengths = [3, 1, 8]
    parts = [encode(tmp_path / f"{i}.mp4", length, fps, 10 * i) for i, length in enumerate(lengths)]
    whole = tmp_path / "whole.mp4"
    video.concatenate(parts, lengths, fps, whole)
    assert times(whole) == [Fraction(frame, fps) for frame in range(sum(lengths))]
    apart = [frame for part in parts for frame in pixels(part)]
    for joined, single in zip(pixels(whole), apart, strict=True):
        np.testing.assert_array_equal(joined, single)


def test_encoding_again_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [encode(tmp_path / f"{i}.mp4", 10, 20) for i in range(3)]
    assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in files}) == 1


def test_lost_frames_are_noticed(tmp_path: Path) -> None:
    part = encode(tmp_path / "part.mp4", 4, 20)
    with pytest.raises(ZooError, match="lost frames"):
        video.concatenate([part], [5], 20, tmp_path / "whole.mp4")


def test_odd_sizes_are_encoded(tmp_path: Path) -> None:
    images = [np.zeros((65, 33, 3), np.uint8)] * 2
    video.encode(iter(images), 10, (65, 33, 3), tmp_path / "odd.mp4")
    assert pixels(tmp_path / "odd.mp4")[0].shape == (65, 33, 3)


def test_pictures_that_the_encoder_refuses_are_named(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"refuses pictures of 2x2 pixels[^$]*--images jpeg"):
        video.encode(iter([np.zeros((2, 2, 3), np.uint8)]), 10, (2, 2, 3), tmp_path / "small.mp4")


def stretch(path: Path, frame: int, length: int, target: Path) -> int:
    """Cut at the key frame before a frame, which is returned."""
    begin = video.key_frame(path, 0.0, frame, 30)
    video.cut(path, begin / 30, length, 30, target)
    return begin


def test_stretches_of_videos_join_as_they_were(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mp4", 20, 30)
    ramp = np.arange(64 * 64).reshape(64, 64) % 3000
    codes = [(ramp + 40 * k).astype(np.uint16) for k in range(20)]
    depths = tmp_path / "depths.mp4"
    video.encode(codes, 30, (64, 64, 1), depths, video.DEPTH)
    for path, pixel_format, first in ((whole, "rgb24", 6), (depths, "gray12le", 7)):
        parts = [tmp_path / f"{path.stem}-{i}.mp4" for i in range(3)]
        begins = [stretch(path, frame, 6, part) for frame, part in zip((7, 8, 8), parts, strict=True)]
        assert begins == [first, 8, 8]
        video.concatenate([path, *parts], [20, 6, 6, 6], 30, tmp_path / "joined.mp4")
        shown, found = pixels(path, pixel_format), pixels(tmp_path / "joined.mp4", pixel_format)
        expected = [*shown, *shown[first : first + 6], *shown[8:14], *shown[8:14]]
        assert len(found) == len(expected)
        assert all(map(np.array_equal, found, expected))


def test_other_peoples_h265_is_not_cut_inside(tmp_path: Path) -> None:
    options = {"g": "2", "x265-params": "bframes=0:log-level=error"}
    other = video.Encoding("libx265", "yuv420p", "rgb24", options)
    video.encode((picture(k) for k in range(8)), 30, SHAPE, tmp_path / "a.mp4", other)
    with pytest.raises(ZooError, match="cannot be cut inside"):
        stretch(tmp_path / "a.mp4", 5, 3, tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()
    assert stretch(tmp_path / "a.mp4", 1, 3, tmp_path / "b.mp4") == 0
