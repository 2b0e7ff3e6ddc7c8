import numpy as np
import pytest
from lerobot.configs.video import DEPTH_QMAX, DepthEncoderConfig
from lerobot.datasets.depth_utils import dequantize_depth, quantize_depth

from lerobot_plugins.conversion import depth
from lerobot_plugins.errors import ZooError

DEPTHS = np.concatenate([[-1, 0, 0.005, 12, 1e6], np.linspace(0.01, 10, 5000)]).astype(np.float32)


def test_the_law_is_lerobots() -> None:
    config = DepthEncoderConfig()
    assert (config.depth_min, config.depth_max, config.shift, config.use_log) == (
        depth.MINIMUM,
        depth.MAXIMUM,
        depth.SHIFT,
        True,
    )
    assert depth.CODES == DEPTH_QMAX + 1
    inside = DEPTHS[5:]
    theirs = quantize_depth(inside[None], video_backend=None)[0]
    difference = np.abs(depth.quantize(inside).astype(int) - theirs)
    # They compute in float32, so a depth between two codes may go either way.
    assert difference.max() <= 1
    assert difference.mean() < 1e-3
    codes = np.arange(depth.CODES, dtype=np.uint16)
    read = dequantize_depth(codes[None, :, None], output_unit="m", output_tensor=False).reshape(-1)
    np.testing.assert_allclose(depth.METRES_V, read, atol=5e-6)


def test_codes_are_the_nearest_and_the_ends_hold_the_rest() -> None:
    codes = depth.quantize(DEPTHS)
    assert codes[:5].tolist() == [0, 0, 0, 4095, 4095]
    inside = DEPTHS[5:]
    half_step = (inside + depth.SHIFT) * np.log(13.5 / 3.51) / 4095 / 2
    assert (abs(depth.METRES_V[codes[5:]] - inside) <= half_step * 1.01 + 1e-6).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_depth_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ZooError, match="not finite"):
        depth.quantize(np.array([1.0, bad]))
