"""Each shortcut of pi0.5 computes what the network computes without it; rows as in the benchmark."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from pi05_wins import Row, Wins, table

NUMBERS = [*range(1, 9), pytest.param(9, marks=pytest.mark.slow)]  # the ninth compiles, which takes a minute


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    wins = Wins()
    with torch.no_grad():
        return table(wins, wins.prefix())


@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_changes(rows, number):
    (row,) = (row for name, row in rows.items() if name.startswith(f"{number} "))
    without, with_it, patch = row
    with torch.no_grad():
        with patch:
            expected = without()
        assert (with_it() - expected).norm() / expected.norm() <= 2e-6


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_almost_nothing_changes_in_bfloat16(rows, number):
    (row,) = (row for name, row in rows.items() if name.startswith(f"{number} "))
    without, with_it, patch = row
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        with patch:
            expected = without()
        found = with_it()
    assert torch.cosine_similarity(found.flatten().float(), expected.flatten().float(), dim=0) >= 0.9999
