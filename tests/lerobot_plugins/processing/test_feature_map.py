"""Scale, clip and grippers of one feature."""

import numpy as np
import pytest
import torch
from feature_stats import stats_of

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.affine import affine_of
from lerobot_plugins.processing.feature_map import FeatureMap
from lerobot_plugins.processing.grippers import GripperMap

GRIPPER = GripperMap(2, "negative_is_open")


def recorded(frames: int = 400) -> np.ndarray:
    """Two dims that move and a gripper that flips."""
    rng = np.random.default_rng(0)
    gripper = np.where(rng.random(frames) < 0.5, -1.0, 1.0)
    return np.column_stack([rng.normal(size=(frames, 2)), gripper])


def feature_map(values: np.ndarray, clip: bool = True, grippers: tuple = (GRIPPER,)) -> FeatureMap:
    return FeatureMap(affine_of("quantile", stats_of(values), "action"), grippers, clip)


def test_without_options_it_is_the_scale_alone():
    values = recorded()
    plain = FeatureMap(affine_of("quantile", stats_of(values), "action"))
    x = torch.from_numpy(values)
    assert torch.equal(plain.forward(x), plain.affine.forward(x))
    assert torch.equal(plain.inverse(x), plain.affine.inverse(x))


def test_values_beyond_the_quantiles_are_clipped():
    values = recorded()
    x = torch.from_numpy(values)
    clipped, plain = feature_map(values).forward(x), feature_map(values, clip=False).forward(x)
    assert plain[:, :2].abs().max() > 1.1
    assert clipped.abs().max() == 1
    assert torch.equal(clipped[:, :2], plain[:, :2].clamp(-1, 1))


@pytest.mark.parametrize("shape", [(), (5,), (4, 3)])
def test_grippers_are_not_scaled_in_any_batch(shape):
    values = recorded()
    x = torch.from_numpy(values[: int(np.prod(shape))].reshape(*shape, 3))
    y = feature_map(values).forward(x)
    assert torch.equal(y[..., 2], (x[..., 2] < 0).float())
    inside = x.clone()
    inside[..., :2] = inside[..., :2].clamp(-1, 1)
    torch.testing.assert_close(
        feature_map(values).inverse(feature_map(values).forward(inside)), inside.float(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("command", [-1.0, 1.0])
def test_a_gripper_that_never_moved_keeps_its_value(command):
    """A constant dim would otherwise become 0, which is closed."""
    values = recorded()
    values[:, 2] = command
    y = feature_map(values).forward(torch.from_numpy(values))
    assert (y[:, 2] == (1.0 if command < 0 else 0.0)).all()
    assert (feature_map(values).inverse(y)[:, 2] == command).all()


def test_the_given_values_stay():
    values = torch.from_numpy(recorded()).float()
    copy = values.clone()
    feature_map(values.numpy()).forward(values)
    feature_map(values.numpy()).inverse(values)
    assert torch.equal(values, copy)


def test_a_gripper_beyond_the_data_is_refused():
    with pytest.raises(ZooError, match=r"dimension 3(.|\n)*3 dimensions"):
        feature_map(recorded(), grippers=(GripperMap(3, "unit"),))
