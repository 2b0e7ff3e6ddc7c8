"""Array functions against hand-worked values."""

import numpy as np
import pytest

from lerobot_plugins.evaluation import scores
from lerobot_plugins.evaluation.scores import ActionRange


def test_error_numbers():
    numbers = scores.error_numbers(np.array([[3.0, -4.0], [0.0, 0.0]]))
    assert numbers == pytest.approx({"mse": 6.25, "mae": 1.75, "rmse": 2.5, "l2": 2.5, "max_abs": 4.0})


def test_a_non_finite_error_makes_the_numbers_unknown():
    assert np.isnan(list(scores.error_numbers(np.array([[1.0], [np.nan]])).values())).all()
    assert np.isnan(list(scores.error_numbers(np.zeros((0, 3))).values())).all()


def test_normalising_leaves_constant_dimensions_out():
    span = ActionRange(np.array([-2.0, 5.0, 0.0]), np.array([2.0, 5.0, 10.0]))
    assert span.varying.tolist() == [True, False, True]
    np.testing.assert_allclose(
        span.normalize(np.array([[-2.0, 9.0, 10.0], [0.0, 5.0, 2.5]])), [[-1, 1], [0, -0.5]]
    )
    # The last bit of a float32 is no range.
    low = np.float32(0.1)
    assert not ActionRange(np.array([low]), np.array([np.nextafter(low, np.float32(1))])).varying[0]


def test_bins_of_known_values():
    values = np.array([-1, -0.6, -0.2, 0, 0.5, 0.999, 1, 1.3, -1.2])
    assert scores.bin_index(values, 10).tolist() == [0, 2, 4, 5, 7, 9, 9, 9, 0]


@pytest.mark.parametrize(("share_of_width", "exact"), [(0.1, 0.9), (0.5, 0.5), (0.9, 0.1)])
def test_bin_accuracy_under_a_constant_offset(share_of_width, exact):
    rng = np.random.default_rng(0)
    width = 2 / 256
    recorded = rng.uniform(-0.99, 0.97, (200_000, 1))
    accuracy = scores.bin_accuracy(recorded + share_of_width * width, recorded, 256)
    assert accuracy["exact"] == pytest.approx(exact, abs=0.01)
    assert accuracy["within_one"] == 1


def test_bin_accuracy_under_gaussian_noise():
    rng = np.random.default_rng(0)
    width = 2 / 64
    recorded = rng.uniform(-0.9, 0.9, (200_000, 1))
    noisy = recorded + rng.normal(0, 0.25 * width, recorded.shape)
    assert scores.bin_accuracy(noisy, recorded, 64)["exact"] == pytest.approx(0.801, abs=0.01)


def test_shares_are_unknown_when_a_prediction_is_not_finite():
    bad, good = np.array([[np.nan], [0.0]]), np.zeros((2, 1))
    assert np.isnan(scores.bin_accuracy(bad, good, 8)["exact"])
    assert np.isnan(scores.out_of_range_fraction(bad))
    assert np.isnan(scores.side_agreement(bad[:, 0], good[:, 0], 0.0))


def test_out_of_range_gripper_side_and_step_change():
    assert scores.out_of_range_fraction(np.array([[-1.0, 1.0], [1.1, -3.0]])) == 0.5
    assert scores.side_agreement(np.array([0.9, 0.2, -1]), np.array([1, 1, -1]), 0.5) == pytest.approx(2 / 3)
    # The jump from one sequence to the next does not count.
    assert scores.step_change(np.array([[0.0], [1.0], [50.0], [53.0]]), np.array([0, 0, 1, 1])) == 2
