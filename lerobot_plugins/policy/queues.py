"""Action queues, one per environment of a batch.

Legend: B environments, R environments that need a new chunk, H chunk length, A action dims.
"""

from collections import deque

import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError


class ActionQueues:
    """Predicted actions that are still to be executed, per row of the batch.

    Rows may run dry at different steps: plans differ in length, environments end at different times.
    """

    def __init__(self) -> None:
        self._rows: list[deque[Tensor]] = []

    def reset(self) -> None:
        """Forget all actions; the next batch may have another size."""
        self._rows = []

    def dry_rows(self, batch_size: int) -> list[int]:
        """Rows without an action left.

        Raises:
            ZooError: The batch size changed without `reset()`: rows would get another row's actions.
        """
        if not self._rows:
            self._rows = [deque() for _ in range(batch_size)]
        if len(self._rows) != batch_size:
            raise ZooError(
                "the number of environments changed in the middle of an episode",
                got=f"a batch of {batch_size}",
                expected=f"{len(self._rows)}, as since the last reset",
                do="call policy.reset() before the first batch of another size",
            )
        return [row for row, queue in enumerate(self._rows) if not queue]

    def push(self, row: int, actions_HA: Tensor) -> None:
        """Append actions to one row's queue."""
        self._rows[row].extend(actions_HA.unbind(0))

    def pop(self) -> Tensor:
        """The next action of every row, (B, A)."""
        return torch.stack([queue.popleft() for queue in self._rows])
