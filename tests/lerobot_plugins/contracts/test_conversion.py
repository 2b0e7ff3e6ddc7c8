"""Conversion between layouts in general: by name, invertible on what both hold, nothing invented."""

from itertools import permutations

import numpy as np
import pytest
import torch

from lerobot_plugins.contracts.catalog import layouts, robot_types
from lerobot_plugins.contracts.conversion import conversion
from lerobot_plugins.contracts.layout import Column, Layout, columns_of
from lerobot_plugins.errors import ZooError


def filled(source, target, kind):
    """The conversion with 0 for what the source lacks."""
    has = {column.signal for column in source.columns(kind)} | set(source.sums if kind == "state" else ())
    return conversion(
        source, target, kind, {c.name: 0.0 for c in target.columns(kind) if c.signal not in has}
    )


@pytest.mark.parametrize("kind", ["state", "action"])
@pytest.mark.parametrize("robot_type", robot_types())
def test_shared_columns_survive_there_and_back_in_numpy_and_torch(robot_type, kind):
    """Between any two layouts of a robot."""
    for source, target in permutations(layouts(robot_type).values(), 2):
        pair = f"{source.name} -> {target.name}"
        values = np.random.default_rng(0).uniform(-1, 1, (2, 3, len(source.columns(kind))))
        there = filled(source, target, kind)

        converted = there(values)

        assert converted.shape == (2, 3, len(target.columns(kind))), pair
        np.testing.assert_allclose(there(torch.tensor(values)).numpy(), converted, atol=1e-12, err_msg=pair)
        recorded, result = source.by_signal(kind, values), target.by_signal(kind, converted)
        back = source.by_signal(kind, filled(target, source, kind)(converted))
        for signal in recorded.keys() & result.keys():
            np.testing.assert_allclose(result[signal], recorded[signal], atol=1e-12, err_msg=pair)
            np.testing.assert_allclose(back[signal], recorded[signal], atol=1e-12, err_msg=pair)


A = Layout("a", "robot", columns_of(["x.pos", "y.pos"]), columns_of(["x.pos", "y.pos", "z.vel"]))
B = Layout(
    "b",
    "robot",
    (Column("why", "y.pos", scale=0.01, offset=1.0), Column("ex", "x.pos")),
    (Column("width", "w.pos"), Column("ex", "x.pos", scale=2.0)),
)


def test_units_and_order():
    convert = conversion(A, B, "state")
    assert convert(np.array([3.0, 1.5])).tolist() == [50.0, 3.0]
    assert convert.inverse()(np.array([[50.0, 3.0]])).tolist() == [[3.0, 1.5]]
    assert not convert.is_permutation


def test_a_permutation_keeps_every_bit_and_leaves_its_input_alone():
    values = np.array([-0.0, np.nan], dtype=np.float16)
    same = conversion(A, A, "state")
    result = same(values)
    assert result.dtype == np.float16
    assert np.signbit(result[0])
    assert np.isnan(result[1])
    result[:] = 7
    assert values[0] == 0


def test_what_is_missing_and_what_is_dropped_is_named():
    with pytest.raises(ZooError, match="width"):
        conversion(A, B, "action")
    convert = conversion(A, B, "action", {"width": 4.0})
    assert convert.dropped == ["y.pos", "z.vel"]
    assert convert.fill == {"width": 4.0}
    assert convert(torch.tensor([6.0, 0.0, 0.0])).tolist() == [4.0, 3.0]


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        ({"width": 1.0, "ex": 0.0}, "source has"),
        ({"width": 1.0, "w.pos": 2.0}, "twice"),
        ({"width": 1.0, "foo": 2.0}, "foo"),
        ({"width": float("nan")}, "finite"),
    ],
)
def test_a_wrong_fill_is_refused(fill, message):
    with pytest.raises(ZooError, match=message):
        conversion(A, B, "action", fill)


def test_wrong_vectors_are_refused():
    convert = conversion(A, B, "state")
    with pytest.raises(ZooError, match=r"x\.pos to y\.pos"):
        convert(np.zeros((2, 3)))
    with pytest.raises(ZooError, match="length"):
        convert(np.array(1.0))
    for integers in (np.zeros(2, int), torch.zeros(2, dtype=torch.int64)):
        with pytest.raises(ZooError, match="floating"):
            convert(integers)


def test_robots_do_not_become_each_other():
    other = Layout("b", "another", B.state, B.action)
    with pytest.raises(ZooError, match="another b"):
        conversion(A, other, "state")


def test_gradients_pass():
    values = torch.tensor([3.0, 1.5], requires_grad=True)
    conversion(A, B, "state")(values).sum().backward()
    assert values.grad.tolist() == pytest.approx([1, 100])


def test_layouts_are_checked_when_made():
    with pytest.raises(ZooError, match="signal twice"):
        Layout("a", "robot", columns_of(["x.pos", "x.pos"]), ())
    with pytest.raises(ZooError, match="converted back"):
        Column("x", "x.pos", scale=0.0)
