"""MemoryVLA's memory: a bank of one token per moment, read by likeness.

    cur   = W_s (mean of picture and prompt tokens)           (1, D)
    r     = sum_e softmax_e(cos(cur, bank_e)) bank_e          the bank passes no gradients on
    gate  = sigmoid(W_2 GELU(W_1 [cur, r]) + b)
    fused = gate r + (1 - gate) cur                           cur if the bank is empty
    prefix <- prefix, W_m fused

    write cur: while there is room, append. Then, with c the cosine similarities,
          max c > tau     entry <- alpha entry + (1 - alpha) cur     the most similar one
          otherwise       entry <- cur                               the first one that was written

W_s and W_m start as the identity. Published, a batch decides together whether it merges, and training shows
no past; here each row decides for itself, and training reads the batch's history. The joining token is seen
from the first step on, so this memory does not start as the pretrained policy.

Source: MemoryVLA (arXiv 2508.19236), as openpi-comet puts it in front of pi0.5.

Legend: B rows, E slots, D width, L text tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.episodic_memory import remember_different
from lerobot_policy_pi05_comet.vlm2.memory import Memory, Recalled, empty_state, identity_linear, summary
from lerobot_policy_pi05_comet.vlm2.state import EpisodicState, MemoryState


class BankReading(nn.Module):
    """`fused` of the formula above.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
        self.gate_bias = nn.Parameter(torch.zeros(width))

    def forward(self, state: EpisodicState, current_BD: Tensor) -> Tensor:
        """(B, D); rows with an empty bank give `current_BD`."""
        in_use_BE = state.in_use()
        some_B1 = in_use_BE.any(dim=1, keepdim=True)
        bank_BED = state.tokens_BEND[:, :, 0].detach().to(current_BD.dtype)
        likeness_BE = F.cosine_similarity(bank_BED, current_BD[:, None], dim=-1)
        # A softmax over nothing is NaN: such a row reads its empty slots, and what it reads is dropped below.
        weight_BE = likeness_BE.masked_fill(~(in_use_BE | ~some_B1), -torch.inf).softmax(dim=-1)
        read_BD = torch.einsum("be,bed->bd", weight_BE, bank_BED)
        gate_BD = torch.sigmoid(self.gate(torch.cat([current_BD, read_BD], dim=-1)) + self.gate_bias)
        return torch.where(some_B1, gate_BD * read_BD + (1 - gate_BD) * current_BD, current_BD)


class MemoryVLAMemory(Memory):
    """A bank of summaries.

    Args:
        width: D.
        slots: Of the bank; published 16.
        tau: Cosine similarity above which an entry is merged into the most similar one.
        alpha: Share of the old entry in a merged one.
        store_dtype: Of the stored tokens.
    """

    def __init__(
        self, width: int, *, slots: int, tau: float, alpha: float, store_dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.summary_proj = identity_linear(width)
        self.reading = BankReading(width)
        self.prefix_proj = identity_linear(width)
        self.slots, self.tau, self.alpha, self.store_dtype = slots, tau, alpha, store_dtype

    def empty(self, like_BND: Tensor, writes: int | None = None) -> MemoryState:
        """See `Memory`."""
        slots = self.slots if writes is None else min(self.slots, writes)
        rows, _, width = like_BND.shape
        return empty_state(rows, 0, slots, 1, width, self.store_dtype, like_BND.device)

    def read(
        self, state: MemoryState, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor
    ) -> Recalled:
        """See `Memory`; the fused token joins the prefix, cur is what is written."""
        current_BD = self._current(tokens_BND, text_BLD, text_mask_BL)
        fused_BD = self.reading(state.episodic, current_BD)
        return Recalled(tokens_BND, current_BD, self.prefix_proj(fused_BD)[:, None])

    def write(
        self, state: MemoryState, tokens_BND: Tensor, found: Tensor | None, rows_B: Tensor
    ) -> MemoryState:
        """See `Memory`."""
        assert found is not None
        bank = remember_different(
            state.episodic, found[:, None], rows_B, self.tau, self.alpha, merging_refreshes=False
        )
        return MemoryState(state.working, bank)

    def pass_over(
        self, state: MemoryState, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor, rows_B: Tensor
    ) -> MemoryState:
        """See `Memory`; nothing is read."""
        return self.write(state, tokens_BND, self._current(tokens_BND, text_BLD, text_mask_BL), rows_B)

    def _current(self, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor) -> Tensor:
        return self.summary_proj(summary(tokens_BND, text_BLD, text_mask_BL))
