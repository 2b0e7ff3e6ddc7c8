import numpy as np
import pytest

from lerobot_plugins.statistics.exact import QUANTILES
from lerobot_plugins.statistics.images import histogram, image_statistics, sampled


def test_statistics_equal_those_of_all_pixels() -> None:
    generator = np.random.default_rng(0)
    images_THWC = generator.integers(0, 256, (5, 9, 11, 3), dtype=np.uint8)
    images_THWC[..., 2] //= 50
    statistics = image_statistics(sum(histogram(image) for image in images_THWC), len(images_THWC))
    for channel in range(3):
        pixels = images_THWC[..., channel].reshape(-1).astype(np.float64)
        for name, quantile in QUANTILES.items():
            assert statistics[name][channel, 0, 0] == pytest.approx(
                np.quantile(pixels, quantile) / 255, abs=1e-15
            )
        assert statistics["mean"][channel, 0, 0] == pytest.approx(pixels.mean() / 255, rel=1e-13)
        assert statistics["std"][channel, 0, 0] == pytest.approx(pixels.std() / 255, rel=1e-13)
        assert statistics["min"][channel, 0, 0] == pixels.min() / 255
        assert statistics["max"][channel, 0, 0] == pixels.max() / 255
    assert statistics["count"].tolist() == [5]
    assert statistics["mean"].shape == (3, 1, 1)


def test_a_black_image() -> None:
    statistics = image_statistics(histogram(np.zeros((4, 4, 3), np.uint8)), 1)
    assert all(not value.any() for name, value in statistics.items() if name != "count")


def test_every_episode_is_sampled() -> None:
    assert list(sampled(1)) == [0]
    assert list(sampled(17)) == [0, 8, 16]
