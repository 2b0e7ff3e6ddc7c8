"""Figures of tensors, in pieces and whole."""

import math

import pytest
import torch

from lerobot_plugins.diagnosis import figures
from lerobot_plugins.diagnosis.figures import change_of, figures_of


@pytest.fixture(params=[1 << 22, 7], autouse=True)
def pieces(request, monkeypatch):
    monkeypatch.setattr(figures, "_VALUES_AT_ONCE", request.param)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_they_are_those_of_the_whole_tensor(dtype):
    tensor = torch.randn(5, 9, generator=torch.Generator().manual_seed(0)).to(dtype)
    tensor[2, 3] = 0
    found, wide = figures_of("w", tensor), tensor.double()
    assert found.norm == pytest.approx(float(wide.norm()), rel=1e-12)
    assert found.mean == pytest.approx(float(wide.mean()), rel=1e-9)
    assert found.std == pytest.approx(float(wide.std(correction=0)), rel=1e-12)
    assert (found.lowest, found.highest) == (float(wide.min()), float(wide.max()))
    assert (found.zeros, found.non_finite, found.size) == (1, 0, 45)
    assert found.dtype == str(dtype).removeprefix("torch.")


def test_what_is_not_finite_is_counted_and_left_out():
    tensor = torch.ones(20)
    tensor[3], tensor[11], tensor[12] = math.nan, math.inf, -math.inf
    found = figures_of("w", tensor)
    assert (found.non_finite, found.mean, found.highest) == (3, 1.0, 1.0)
    assert not found.is_dead
    assert math.isnan(figures_of("w", torch.full((3,), math.nan)).lowest)


def test_a_tensor_of_one_value_is_dead():
    assert figures_of("w", torch.zeros(3, 3)).is_dead
    assert figures_of("w", torch.ones(30)).is_dead
    assert not figures_of("w", torch.arange(30.0)).is_dead
    assert not figures_of("w", torch.zeros(1)).is_dead


def test_changes():
    before = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    after = before.clone()
    assert change_of(before, after).equal
    after[4, 4] += 3
    found = change_of(before, after)
    assert not found.equal
    assert found.distance == pytest.approx(3, rel=1e-6)
    assert found.before == pytest.approx(float(before.norm()), rel=1e-6)
    # Another dtype alone is no change.
    assert change_of(before, before.bfloat16()).equal
    assert change_of(before.bfloat16(), before.bfloat16().float()).equal
