"""Action queues: one per environment, each with its own pace."""

import pytest
import torch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.policy.queues import ActionQueues


def actions(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_rows_run_dry_at_different_steps():
    queues = ActionQueues()
    assert queues.dry_rows(3) == [0, 1, 2]
    queues.push(0, actions(1, 2, 3))
    queues.push(1, actions(10))
    queues.push(2, actions(100, 200))
    assert queues.pop().flatten().tolist() == [1, 10, 100]
    assert queues.dry_rows(3) == [1]
    queues.push(1, actions(11, 12))
    assert queues.pop().flatten().tolist() == [2, 11, 200]
    assert queues.dry_rows(3) == [2]


def test_a_changed_batch_size_is_refused_until_reset():
    queues = ActionQueues()
    queues.dry_rows(2)
    with pytest.raises(ZooError, match=r"policy\.reset\(\)"):
        queues.dry_rows(3)
    queues.reset()
    assert queues.dry_rows(3) == [0, 1, 2]


def test_reset_forgets_actions():
    queues = ActionQueues()
    queues.dry_rows(1)
    queues.push(0, actions(1, 2))
    queues.reset()
    assert queues.dry_rows(1) == [0]
