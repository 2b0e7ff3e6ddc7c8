"""What an episode has left in the memories, a row per environment. Values: never changed in place.

Legend: B rows, W slots of the working memory, E slots of the episodic one, N stored tokens, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Tensors that all have a row per environment first."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with every tensor changed."""
        values = (getattr(self, field.name) for field in fields(self))
        return type(self)(*(v.map(change) if isinstance(v, Rows) else change(v) for v in values))

    def replaced(self, rows: list[int], part: Self) -> Self:
        """The same with some rows taken from `part`, which has just these."""
        pairs = ((getattr(self, field.name), getattr(part, field.name)) for field in fields(self))
        return type(self)(
            *(
                own.replaced(rows, new) if isinstance(own, Rows) else _replaced(own, rows, new)
                for own, new in pairs
            )
        )

    @property
    def nbytes(self) -> int:
        """Bytes that the tensors take."""
        values = [getattr(self, field.name) for field in fields(self)]
        return sum(value.nbytes for value in values)


def _replaced(own: Tensor, rows: list[int], new: Tensor) -> Tensor:
    place = torch.tensor(rows, device=own.device)
    return own.index_copy(0, place, new)


@dataclass(frozen=True)
class WorkingState(Rows):
    """The latest entries, oldest first; the newest is in the last slot.

    Attributes:
        tokens_BWND: Stored tokens.
        valid_BW: False for slots that nothing was written to.
    """

    tokens_BWND: Tensor
    valid_BW: Tensor


@dataclass(frozen=True)
class EpisodicState(Rows):
    """A bank of entries that differ from each other.

    Attributes:
        tokens_BEND: Stored tokens.
        count_B: Slots in use, the first ones.
        last_used_BE: Step at which each slot was last written.
        step_B: Writes so far.
    """

    tokens_BEND: Tensor
    count_B: Tensor
    last_used_BE: Tensor
    step_B: Tensor

    def in_use(self) -> Tensor:
        """(B, E) bool: False for slots that nothing was written to."""
        slot_E = torch.arange(self.last_used_BE.shape[1], device=self.count_B.device)
        return slot_E < self.count_B[:, None]


@dataclass(frozen=True)
class MemoryState(Rows):
    """Both memories of an episode."""

    working: WorkingState
    episodic: EpisodicState
