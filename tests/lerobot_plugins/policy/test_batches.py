"""Rows of batches."""

import pytest
import torch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.policy.batches import batch_size, select_rows


def test_selecting_rows_keeps_what_is_not_per_row():
    batch = {
        "observation.a": torch.arange(3),
        "task": ["x", "y", "z"],
        "info": {"k": 1},
        "n": torch.tensor(3),
    }
    assert batch_size(batch) == 3
    part = select_rows(batch, [2, 0], 3)
    assert part["observation.a"].tolist() == [2, 0]
    assert part["task"] == ["z", "x"]
    assert part["info"] == {"k": 1}
    assert part["n"].item() == 3


def test_a_batch_without_observation_is_refused():
    with pytest.raises(ZooError, match="no observation"):
        batch_size({"action": torch.zeros(2, 4)})
