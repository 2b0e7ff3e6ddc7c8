"""What every memory does: keep a state per row, read it before it is written.

`dual` is VLM2's; `hamlet` and `memory_vla` are the memories of two other policies, as openpi-comet compares
them, in the same place: their tokens join the prefix behind the prompt instead of changing the picture's.

Legend: B rows, N tokens of an observation, X tokens that join the prefix, L text tokens, D width.
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.state import EpisodicState, MemoryState, WorkingState


class Recalled(NamedTuple):
    """What reading gives.

    Attributes:
        tokens_BND: The observation's tokens, changed by what is remembered or as they were.
        found: What `write` wants to know of this reading.
        joining_BXD: Tokens that join the prefix; None for none.
    """

    tokens_BND: Tensor
    found: Tensor
    joining_BXD: Tensor | None = None


class Memory(nn.Module):
    """A memory; what it holds is a `MemoryState` that the caller keeps."""

    @abstractmethod
    def empty(self, like_BND: Tensor, writes: int | None = None) -> MemoryState:
        """A state without entries, for observations of this shape.

        Args:
            like_BND: Tokens of an observation.
            writes: How often it will be written at most, where that is known; None is any number.
        """

    @abstractmethod
    def read(
        self, state: MemoryState, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor
    ) -> Recalled:
        """What the rows recall, given their tokens and the embedded prompt."""

    @abstractmethod
    def write(
        self, state: MemoryState, tokens_BND: Tensor, found: Tensor | None, rows_B: Tensor
    ) -> MemoryState:
        """The state after an observation; rows where `rows_B` is False stay as they are.

        Args:
            state: The state before.
            tokens_BND: The observation's tokens.
            found: Of `read`.
            rows_B: Rows that remember this observation.
        """

    def pass_over(
        self, state: MemoryState, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor, rows_B: Tensor
    ) -> MemoryState:
        """The state after an observation whose own tokens nobody asks for."""
        found = self.read(state, tokens_BND, text_BLD, text_mask_BL).found
        return self.write(state, tokens_BND, found, rows_B)


def empty_state(
    rows: int, working: int, episodic: int, tokens: int, width: int, dtype: torch.dtype, device: torch.device
) -> MemoryState:
    """Memories of so many slots, each of `tokens` tokens, without entries."""

    def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.zeros(rows, *shape, dtype=dtype, device=device)

    return MemoryState(
        WorkingState(zeros(working, tokens, width, dtype=dtype), zeros(working, dtype=torch.bool)),
        EpisodicState(zeros(episodic, tokens, width, dtype=dtype), zeros(), zeros(episodic), zeros()),
    )


def has_entries(state: MemoryState) -> Tensor:
    """(B,) bool: rows that remember something."""
    return state.working.valid_BW.any(dim=1) | (state.episodic.count_B > 0)


def summary(tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor) -> Tensor:
    """The mean of picture tokens and real text tokens, (B, D)."""
    mask_BL1 = text_mask_BL[..., None].to(tokens_BND.dtype)
    total_BD = tokens_BND.sum(dim=1) + (text_BLD * mask_BL1).sum(dim=1)
    return total_BD / (tokens_BND.shape[1] + mask_BL1.sum(dim=1))


def identity_linear(width: int) -> nn.Linear:
    """A projection that starts as the identity."""
    linear = nn.Linear(width, width)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
