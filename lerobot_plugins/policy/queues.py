"""Action queues, one per environment of a batch.

Legend: B environments, R environments that need a new chunk, H chunk length, A action dims.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError


class RowQueue(Protocol):
    """What one environment still has to execute."""

    def dry(self) -> bool:
        """Whether a new chunk is needed before the next `pop`."""

    def push(self, actions_HA: Tensor) -> None:
        """Take a newly predicted chunk."""

    def pop(self) -> Tensor:
        """The next action, (A,)."""


class ActionQueue:
    """Receding horizon: a chunk is executed to its end before the next is predicted."""

    def __init__(self) -> None:
        self._actions: deque[Tensor] = deque()

    def dry(self) -> bool:
        return not self._actions

    def push(self, actions_HA: Tensor) -> None:
        self._actions.extend(actions_HA.unbind(0))

    def pop(self) -> Tensor:
        return self._actions.popleft()


class ActionQueues:
    """Predicted actions that are still to be executed, per row of the batch.

    Rows may run dry at different steps: plans differ in length, environments end at different times.

    Args:
        new_row: Makes the queue of one row; it decides when a chunk is needed and what becomes of it.
    """

    def __init__(self, new_row: Callable[[], RowQueue] = ActionQueue) -> None:
        self._new_row = new_row
        self._rows: list[RowQueue] = []

    def reset(self) -> None:
        """Forget all actions; the next batch may have another size."""
        self._rows = []

    def dry_rows(self, batch_size: int) -> list[int]:
        """Rows that need a chunk before the next `pop`.

        Raises:
            ZooError: The batch size changed without `reset()`: rows would get another row's actions.
        """
        if not self._rows:
            self._rows = [self._new_row() for _ in range(batch_size)]
        if len(self._rows) != batch_size:
            raise ZooError(
                "the number of environments changed in the middle of an episode",
                got=f"a batch of {batch_size}",
                expected=f"{len(self._rows)}, as since the last reset",
                do="call policy.reset() before the first batch of another size",
            )
        return [row for row, queue in enumerate(self._rows) if queue.dry()]

    def push(self, row: int, actions_HA: Tensor) -> None:
        """Hand a predicted chunk to one row."""
        self._rows[row].push(actions_HA)

    def pop(self) -> Tensor:
        """The next action of every row, (B, A)."""
        return torch.stack([queue.pop() for queue in self._rows])
