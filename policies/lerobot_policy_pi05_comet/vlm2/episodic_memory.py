"""Episodic memory: a bank of what was different in an episode.

    read    Me = cross_attention(query, all tokens of the bank)
    write   while there is room: append. Then, with c the cosine similarities of the mean tokens,
            max c > tau      entry <- alpha * entry + (1 - alpha) * new      the most similar one
            otherwise        entry <- new                                    the one written longest ago

Each row decides for itself. Source: VLM2 (arXiv 2511.20644), as in openpi-comet.

Legend: B rows, E slots, N tokens of an entry, D width, Q queries.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.cross_attention import CrossAttention
from lerobot_policy_pi05_comet.vlm2.state import EpisodicState
from lerobot_policy_pi05_comet.vlm2.working_memory import read


def remember_different(
    state: EpisodicState,
    entry_BND: Tensor,
    rows_B: Tensor,
    tau: float,
    alpha: float,
    *,
    merging_refreshes: bool = True,
) -> EpisodicState:
    """The state after writing an entry to the rows where `rows_B` is True; the others stay.

    `merging_refreshes` is whether a merge counts as writing when the oldest entry is looked for.
    """
    bank_BEND = state.tokens_BEND
    entry_BND = entry_BND.to(bank_BEND.dtype)
    slots = bank_BEND.shape[1]
    pooled_BED, new_B1D = (x.detach().float().mean(dim=-2) for x in (bank_BEND, entry_BND[:, None]))
    similarity_BE = F.cosine_similarity(pooled_BED, new_B1D, dim=-1)
    closest_B = similarity_BE.max(dim=1)
    has_room_B = state.count_B < slots
    merges_B = ~has_room_B & (closest_B.values > tau)
    oldest_B = state.last_used_BE.argmin(dim=1)
    place_B = torch.where(has_room_B, state.count_B, torch.where(merges_B, closest_B.indices, oldest_B))

    written_BE = rows_B[:, None] & (torch.arange(slots, device=place_B.device) == place_B[:, None])
    kept_B = torch.where(merges_B, alpha, 0.0).to(bank_BEND.dtype)[:, None, None, None]
    value_BEND = kept_B * bank_BEND + (1 - kept_B) * entry_BND[:, None]
    step_B = state.step_B + rows_B
    dated_BE = written_BE if merging_refreshes else written_BE & ~merges_B[:, None]
    return EpisodicState(
        torch.where(written_BE[..., None, None], value_BEND, bank_BEND),
        state.count_B + (rows_B & has_room_B),
        torch.where(dated_BE, step_B[:, None], state.last_used_BE),
        step_B,
    )


class EpisodicMemory(nn.Module):
    """Reads the bank."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = CrossAttention(width, width, heads)

    def forward(self, query_BQD: Tensor, state: EpisodicState) -> Tensor:
        """What the queries find, (B, Q, D); zeros in rows without an entry."""
        return read(self.attention, query_BQD, state.tokens_BEND, state.in_use())
