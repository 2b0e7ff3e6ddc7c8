import numpy as np
import pytest

from lerobot_plugins.statistics.exact import QUANTILES, exact_statistics


@pytest.mark.parametrize("frames", [1, 2, 3, 10, 1001])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3)])
def test_quantiles_minimum_and_maximum_equal_numpy(frames: int, shape: tuple[int, ...]) -> None:
    values_TD = np.random.default_rng(frames).standard_normal((frames, *shape)).astype(np.float32)
    statistics = exact_statistics(values_TD)
    exact_TD = values_TD.astype(np.float64)
    for name, quantile in QUANTILES.items():
        np.testing.assert_array_equal(
            statistics[name], np.atleast_1d(np.quantile(exact_TD, quantile, axis=0))
        )
    np.testing.assert_array_equal(statistics["min"], np.atleast_1d(exact_TD.min(axis=0)))
    np.testing.assert_array_equal(statistics["max"], np.atleast_1d(exact_TD.max(axis=0)))
    assert statistics["count"].tolist() == [frames]
    assert all(value.shape == (shape or (1,)) for name, value in statistics.items() if name != "count")


def test_mean_and_deviation_survive_a_mean_of_a_million_deviations() -> None:
    values_T = 1e6 + np.random.default_rng(0).standard_normal(100_000)
    statistics = exact_statistics(values_T)
    precise_T = values_T.astype(np.longdouble)
    mean, deviation = precise_T.mean(), precise_T.std()
    assert abs(statistics["mean"][0] - mean) <= 1e-12 * mean
    assert abs(statistics["std"][0] - deviation) <= 1e-12 * deviation


def test_a_constant_has_no_deviation() -> None:
    statistics = exact_statistics(np.full((1000, 2), 0.1))
    np.testing.assert_array_equal(statistics["std"], [0, 0])
    np.testing.assert_array_equal(statistics["mean"], [0.1, 0.1])


def test_integers_and_booleans_are_numbers() -> None:
    assert exact_statistics(np.array([2**40, 2**40 + 2]))["mean"].tolist() == [2**40 + 1]
    assert exact_statistics(np.array([True, False, True, True]))["mean"].tolist() == [0.75]


def test_quantiles_of_unequal_episodes_are_those_of_all_frames() -> None:
    """LeRobot averages the quantiles of episodes: 7.11 here, where 44 is right."""
    generator = np.random.default_rng(0)
    frames = np.concatenate([generator.normal(0, 1, 900), generator.normal(40, 5, 100)])
    assert exact_statistics(frames)["q99"][0] == np.quantile(frames, 0.99) > 40


@pytest.mark.slow
def test_ten_million_rows_are_exact() -> None:
    values_T = np.random.default_rng(0).standard_normal(10_000_000).astype(np.float32)
    statistics = exact_statistics(values_T)
    for name, quantile in QUANTILES.items():
        assert statistics[name][0] == np.quantile(values_T.astype(np.float64), quantile)
