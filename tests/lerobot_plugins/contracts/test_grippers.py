"""Conventions of grippers as plain functions."""

import numpy as np
import pytest
import torch

from lerobot_plugins.contracts.grippers import CONVENTIONS, from_unit, to_unit
from lerobot_plugins.errors import ZooError


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_there_and_back(convention):
    unit = np.linspace(0, 1, 11)
    recorded = from_unit(unit, convention)
    np.testing.assert_allclose(to_unit(recorded, convention), unit, atol=1e-12)
    np.testing.assert_allclose(to_unit(torch.tensor(recorded), convention).numpy(), unit, atol=1e-12)


def test_what_lies_beyond_is_cut_off():
    assert to_unit(np.array([-3.0, 40.0, 103.0]), "mm").tolist() == [0, 0.4, 1]
    assert from_unit(np.array([-0.5, 2.0]), "behavior").tolist() == [-1, 1]
    assert from_unit(torch.tensor([1.5]), "mm").tolist() == [100]


def test_an_unknown_convention_is_refused():
    with pytest.raises(ZooError, match="inches"):
        to_unit(np.zeros(1), "inches")
