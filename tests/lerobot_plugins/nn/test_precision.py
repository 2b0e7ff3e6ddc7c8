"""The one precision policy: float32 masters, bfloat16 frozen weights, buffers never cast."""

import pytest
import torch
from torch import nn

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.precision import (
    autocast,
    compute_dtype,
    no_autocast,
    parse_dtype,
    store_parameters,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["bfloat16", "torch.bfloat16"])
def test_both_spellings(name):
    assert parse_dtype(name) is torch.bfloat16


def test_float16_is_refused_with_the_reason():
    with pytest.raises(ZooError, match="overflows in Gemma; use bfloat16"):
        parse_dtype("float16")


def test_unknown_dtype_is_refused():
    with pytest.raises(ZooError, match="float32 or bfloat16"):
        parse_dtype("float64")


def test_autocast_computes_in_bfloat16_and_islands_do_not():
    layer, x = nn.Linear(4, 4), torch.ones(1, 4)
    with autocast(CPU, torch.bfloat16):
        assert layer(x).dtype == compute_dtype(x) == torch.bfloat16
        with no_autocast(CPU):
            assert layer(x).dtype == compute_dtype(x) == torch.float32


def test_float32_shields_from_an_outer_region():
    layer, x = nn.Linear(4, 4), torch.ones(1, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16), autocast(CPU, torch.float32):
        assert layer(x).dtype == torch.float32


def test_trainable_weights_are_masters_and_buffers_stay():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)).to(torch.float64)
    module[2].requires_grad_(False)
    store_parameters(module, torch.bfloat16)
    assert module[0].weight.dtype == torch.float32
    assert module[2].weight.dtype == torch.bfloat16
    assert module[1].running_mean.dtype == torch.float64
