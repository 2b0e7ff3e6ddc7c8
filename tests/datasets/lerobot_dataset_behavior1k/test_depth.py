"""The codecs of depth and segmentation videos, against numbers computed from the simulator's formulas."""

import numpy as np
import pytest
from behavior1k_samples import DEPTH_CODECS, depths, write_video

from lerobot_dataset_behavior1k.depth import decode_depth, encode_depth
from lerobot_dataset_behavior1k.palettes import palette
from lerobot_dataset_behavior1k.videos import decode_depth as decode_video
from lerobot_plugins.errors import ZooError


def test_the_codes_of_some_depths():
    metres = np.array([0.0, 0.5, 1, 2, 5, 10, 12])
    codes = encode_depth(metres)
    assert codes.tolist() == [0, 6357, 12088, 21850, 43028, 65535, 65535]
    read = decode_depth(codes)
    np.testing.assert_allclose(read, [0.01, 0.49996, 1.000035, 1.999974, 4.999928, 10, 10], atol=5e-6)


@pytest.mark.parametrize(
    ("pixel_format", "bits"), [("gray16le", 16), ("yuv420p12le", 12), ("yuv420p10le", 10)]
)
def test_depth_survives_a_video_up_to_the_steps_of_its_luma(tmp_path, pixel_format, bits):
    path = tmp_path / "depth.mp4"
    recorded = list(depths(0, 5, 64))
    codec, options = DEPTH_CODECS[pixel_format]
    write_video(path, map(encode_depth, recorded), "gray16le", codec, pixel_format, options)
    read = list(decode_video(path, (64, 64), (64, 64)))
    assert len(read) == 5
    for metres, expected in zip(read, recorded, strict=True):
        assert (metres.dtype, metres.shape) == (np.float32, (64, 64, 1))
        step = (expected + 3.5) * np.log(13.5 / 3.51) / 2**bits
        assert (abs(metres[..., 0] - expected) <= step + 1e-4).all()


def test_shrunk_depth_is_depth_that_was_there(tmp_path):
    path = tmp_path / "depth.mp4"
    codec, options = DEPTH_CODECS["gray16le"]
    near_and_far = np.where(np.arange(64)[None] < 30, 0.5, 8.0).repeat(64, axis=0).astype(np.float32)
    write_video(path, [encode_depth(near_and_far)], "gray16le", codec, "gray16le", options)
    (metres,) = decode_video(path, (64, 64), (20, 20))
    assert metres.shape == (20, 20, 1)
    np.testing.assert_allclose(np.unique(metres), [0.5, 8.0], atol=1e-4)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "gbrp"])
def test_other_depth_codecs_are_refused_by_name(tmp_path, pixel_format):
    path = tmp_path / "depth.mp4"
    write_video(path, [np.zeros((64, 64, 3), np.uint8)] * 3, pixel_format=pixel_format)
    with pytest.raises(ZooError, match=pixel_format) as refused:
        next(decode_video(path, (64, 64), (64, 64)))
    assert "--depth none" in str(refused.value)


def test_palettes():
    assert palette(5).tolist() == [[16, 16, 16], [16, 16, 240], [16, 240, 16], [16, 240, 240], [235, 16, 16]]
    assert palette(9).tolist() == [
        [16, second, third] for second in (16, 128, 240) for third in (16, 128, 240)
    ]
    assert palette(1).tolist() == [[16, 16, 16]]
    assert len(np.unique(palette(200), axis=0)) == 200
