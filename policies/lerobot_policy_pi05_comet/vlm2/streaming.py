"""The memory of running episodes, a row per environment.

An environment's memory is read at every prediction and written at most every `stride` control steps, as far
apart as training has seen. Nothing but `clear` forgets.

Legend: B environments, R rows that are asked for now.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_policy_pi05_comet.vlm2.state import MemoryState


class StreamingMemory:
    """Keeps a `MemoryState` between predictions.

    Args:
        stride: Control steps between writes.
    """

    def __init__(self, stride: int) -> None:
        self.stride = stride
        self.clear()

    def clear(self) -> None:
        """Forget; the next observation may have another number of rows."""
        self.state: MemoryState | None = None
        self._age: list[int] = []  # control steps since each row's last write
        self._size: int | None = None
        self._rows: list[int] | None = None
        self._counting = False

    @contextlib.contextmanager
    def control_step(self, size: int) -> Iterator[None]:
        """Around one control step of `size` environments."""
        self._size, self._counting = size, True
        try:
            yield
            self._age = [age + 1 for age in self._age]
        finally:
            self._size, self._counting = None, False

    @contextlib.contextmanager
    def rows(self, rows: list[int]) -> Iterator[None]:
        """Around a prediction for some rows of a control step."""
        self._rows = rows
        try:
            yield
        finally:
            self._rows = None

    def recall(self, count: int, empty: Callable[[int], MemoryState]) -> tuple[MemoryState, Tensor]:
        """What the rows of a prediction remember, and which of them are to write, (R,) bool.

        Args:
            count: Rows of the prediction.
            empty: Makes memories without entries, so many rows.

        Raises:
            ZooError: Another number of rows than since the last reset.
        """
        size = count if self._size is None else self._size
        if self.state is None:
            self.state = empty(size)
            self._age = [self.stride] * size
        if len(self._age) != size:
            raise ZooError(
                "the number of environments changed in the middle of an episode",
                got=f"a batch of {size}",
                expected=f"{len(self._age)}, as since the last reset: each row has a memory",
                do="call policy.reset() before the first batch of another size",
            )
        rows = self._rows if self._rows is not None else list(range(size))
        # Without control steps to count, a prediction is a step of the memory.
        due = [not self._counting or self._age[row] >= self.stride for row in rows]
        state = self.state
        if len(rows) < size:
            place = torch.tensor(rows, device=state.working.valid_BW.device)
            state = state.map(lambda value: value.index_select(0, place))
        return state, torch.tensor(due, device=state.working.valid_BW.device)

    def keep(self, state: MemoryState, due_R: Tensor) -> None:
        """What the rows of `recall` remember from now on."""
        assert self.state is not None
        rows = self._rows if self._rows is not None else list(range(len(self._age)))
        self.state = state if len(rows) == len(self._age) else self.state.replaced(rows, state)
        for row, wrote in zip(rows, due_R.tolist(), strict=True):
            if wrote:
                self._age[row] = 0

    def restore(self, state: MemoryState | None) -> None:
        """Go on with another episode's memory; its next prediction writes."""
        self.clear()
        if state is not None:
            self.state = state
            self._age = [self.stride] * len(state.episodic.count_B)
