"""The formulas of normalisation, and dimensions that never change."""

import numpy as np
import pytest
import torch
from feature_stats import stats_of

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.affine import affine_of


def test_min_max_maps_the_range_to_minus_one_and_one():
    affine = affine_of("min_max", {"min": [-2, 0], "max": [2, 10]}, "x")
    for raw, normalised in (([0, 2.5], [0, -0.5]), ([3, 12], [1.5, 1.4])):
        torch.testing.assert_close(affine.forward(torch.tensor(raw)), torch.tensor(normalised))
        torch.testing.assert_close(
            affine.inverse(torch.tensor(normalised)), torch.tensor(raw).float(), atol=1e-6, rtol=0
        )


def narrow_and_wide() -> tuple[dict[str, np.ndarray], torch.Tensor]:
    """Statistics and values of dims from narrow, where openpi's epsilons show, to wide."""
    scale = np.array([1e-4, 1e-2, 1, 100])
    values = np.random.default_rng(1).normal(0.5, 1, (1000, 4)) * scale
    return stats_of(values), torch.tensor(values[:10], dtype=torch.float32)


def test_quantile_is_openpis_formula():
    stats, x = narrow_and_wide()
    q01, q99 = torch.tensor(stats["q01"]), torch.tensor(stats["q99"])
    expected = (x.double() - q01) / (q99 - q01 + 1e-6) * 2 - 1
    affine = affine_of("quantile", stats, "x")
    torch.testing.assert_close(affine.forward(x), expected.float())
    torch.testing.assert_close(affine.inverse(affine.forward(x)), x, atol=1e-7, rtol=1e-5)


def test_mean_std_is_openpis_formula():
    stats, x = narrow_and_wide()
    expected = (x.double() - torch.tensor(stats["mean"])) / (torch.tensor(stats["std"]) + 1e-6)
    torch.testing.assert_close(affine_of("mean_std", stats, "x").forward(x), expected.float())


def test_identity_changes_nothing():
    x = torch.randn(4, 3)
    affine = affine_of("identity", stats_of(np.random.rand(5, 3)), "x")
    assert torch.equal(affine.forward(x), x)
    assert torch.equal(affine.inverse(x), x)


@pytest.mark.parametrize("mode", ["min_max", "quantile", "mean_std"])
def test_a_dimension_that_never_changed_is_zero_and_comes_back(mode):
    values = np.random.default_rng(0).normal(size=(100, 2))
    values[:, 1] = 5
    affine = affine_of(mode, stats_of(values), "x")
    forward = affine.forward(torch.tensor([[0.0, 5.0], [0.0, 5.001]]))
    assert forward[:, 1].tolist() == [0, 0], "dividing by the range would give 199,984 for 5.001"
    assert affine.inverse(torch.tensor([[0.0, -1.0], [0.0, 0.3], [0.0, 1.0]]))[:, 1].tolist() == [5, 5, 5]


def test_coinciding_quantiles_of_a_moving_dimension_use_its_range(caplog):
    gripper = np.zeros((1000, 1))
    gripper[:5] = 1  # open in half a percent of the frames
    affine = affine_of("quantile", stats_of(gripper), "action")
    assert affine.forward(torch.tensor([[0.0], [1.0]])).flatten().tolist() == pytest.approx([-1, 1], abs=1e-5)
    assert "action: q01 and q99 coincide in dimensions [0]" in caplog.text


def test_raw_units_are_computed_in_float32():
    affine = affine_of("min_max", {"min": [50], "max": [730]}, "x")
    assert affine.inverse(torch.tensor([0.5034])).item() == pytest.approx(561.156, abs=1e-3)
    assert affine.inverse(torch.tensor([0.5034]).bfloat16()).dtype == torch.float32


def test_int_and_half_inputs_become_float32():
    affine = affine_of("min_max", {"min": [0], "max": [10]}, "x")
    for dtype in (torch.int64, torch.float64, torch.bfloat16):
        assert affine.forward(torch.tensor([5], dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize(
    ("mode", "lacking"), [("min_max", "max"), ("quantile", "q99"), ("mean_std", "std"), ("identity", "min")]
)
def test_lacking_statistics_are_named(mode, lacking):
    stats = stats_of(np.random.rand(5, 2))
    del stats[lacking]
    with pytest.raises(ZooError, match=rf"action have no {lacking}, which {mode} normalisation needs"):
        affine_of(mode, stats, "action")


@pytest.mark.parametrize(
    ("mode", "wrong", "message"),
    [
        ("min_max", {"min": [0, 2], "max": [1, 1]}, "max 1 below min 2"),
        ("quantile", {"q01": [0, 2], "q99": [1, 1]}, "q99 1 below q01 2"),
        ("mean_std", {"mean": [0, 0], "std": [1, -1]}, "std -1 below zero"),
    ],
)
def test_statistics_that_contradict_themselves_are_refused(mode, wrong, message):
    stats = {key: np.array(values, float) for key, values in wrong.items()}
    with pytest.raises(ZooError, match=rf"action contradict themselves in dimension 1[^$]*{message}"):
        affine_of(mode, stats, "action")


def test_statistics_that_are_not_finite_are_refused():
    with pytest.raises(ZooError, match="action are not finite"):
        affine_of("min_max", {"min": [0.0], "max": [np.inf]}, "action")


@pytest.mark.parametrize("mode", ["quantile", "mean_std"])
def test_openpi_statistics_have_neither_minimum_nor_maximum(mode):
    stats = {
        "mean": np.array([0.3, 0.5]),
        "std": np.array([0.2, 0.0]),
        "q01": np.array([-0.2, 0.5]),
        "q99": np.array([0.8, 0.5]),
    }
    affine = affine_of(mode, stats, "state")
    x = torch.tensor([1.2, 0.501])
    first = {"quantile": 1.799997, "mean_std": 4.499977}[mode]
    torch.testing.assert_close(affine.forward(x), torch.tensor([first, 0.0]))
    torch.testing.assert_close(affine.inverse(affine.forward(x)), torch.tensor([1.2, 0.5]))
    with pytest.raises(ZooError, match="have no min, which min_max"):
        affine_of("min_max", stats, "state")


def test_a_moving_dimension_without_scale_is_held_and_named(caplog):
    """A gripper closed in 99 % of the frames, in openpi's statistics: no minimum, no maximum."""
    stats = {"mean": [0.01, 0.5], "std": [0.1, 0.2], "q01": [0.0, 0.0], "q99": [0.0, 1.0]}
    affine = affine_of("quantile", {key: np.array(value) for key, value in stats.items()}, "action")
    assert affine.forward(torch.tensor([1.0, 1.0]))[0] == 0
    assert "action: q01 and q99 coincide in dimensions [0] although they change (std [0.1])" in caplog.text
    assert "--policy.stats_source=dataset" in caplog.text


def test_a_narrow_dimension_of_openpi_is_constant():
    """With its range of 1e-5, a deviation of 0.001 would become 181."""
    stats = {"mean": [0.0], "std": [0.0], "q01": [0.0], "q99": [1e-5]}
    affine = affine_of("quantile", {key: np.array(value) for key, value in stats.items()}, "state")
    assert affine.forward(torch.tensor([0.001])).item() == 0
