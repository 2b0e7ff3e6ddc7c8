"""Working memory: a window over the latest entries.

    read    Mw = cross_attention(query, all tokens of the window)
    write   append; the oldest gives way

Source: VLM2 (arXiv 2511.20644), as in openpi-comet.

Legend: B rows, W slots, N tokens of an entry, D width, Q queries.
"""

import torch
from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.cross_attention import CrossAttention
from lerobot_policy_pi05_comet.vlm2.state import WorkingState


def remember_latest(state: WorkingState, entry_BND: Tensor, rows_B: Tensor) -> WorkingState:
    """The state after writing an entry to the rows where `rows_B` is True; the others stay."""
    entry = entry_BND.to(state.tokens_BWND.dtype)[:, None]
    moved_BWND = torch.cat([state.tokens_BWND[:, 1:], entry], dim=1)
    moved_BW = torch.cat([state.valid_BW[:, 1:], torch.ones_like(state.valid_BW[:, :1])], dim=1)
    return WorkingState(
        torch.where(rows_B[:, None, None, None], moved_BWND, state.tokens_BWND),
        torch.where(rows_B[:, None], moved_BW, state.valid_BW),
    )


class WorkingMemory(nn.Module):
    """Reads the window."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = CrossAttention(width, width, heads)

    def forward(self, query_BQD: Tensor, state: WorkingState) -> Tensor:
        """What the queries find, (B, Q, D); zeros in rows without an entry."""
        return read(self.attention, query_BQD, state.tokens_BWND, state.valid_BW)


def read(attention: CrossAttention, query_BQD: Tensor, entry_BWND: Tensor, valid_BW: Tensor) -> Tensor:
    """Attention over all tokens of all valid entries."""
    tokens = entry_BWND.shape[2]
    keys_BMD = entry_BWND.to(query_BQD.dtype).flatten(1, 2)
    return attention(query_BQD, keys_BMD, valid_BW.repeat_interleave(tokens, dim=1))
