"""Dual memory: a window over the latest moments and a bank of the different ones.

    Q     = text_query(H, text)
    fused = gated_fusion(working(Q), episodic(Q))

    paper:            M = LN(H + tanh(g) * fused)   working <- H, episodic <- fused (the first entry: H)
    gated_identity:   M = H + LN(fused) G           working <- H, episodic <- H     matrix G = 0 at the start

Reading comes before writing. The published bank mixes H with mixtures of attention outputs and compares
them by cosine similarity; gated, both memories hold what was seen, so entries of the bank are alike, and
moments that only have to be remembered need not be read for. A row whose memories are empty gives LN(H) or H.

Source: VLM2 (arXiv 2511.20644), as in openpi-comet.

Legend: B rows, N tokens of an observation, S stored tokens of an entry, L text tokens, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.episodic_memory import EpisodicMemory, remember_different
from lerobot_policy_pi05_comet.vlm2.gated_fusion import GatedFusion
from lerobot_policy_pi05_comet.vlm2.memory import Memory, Recalled, empty_state, has_entries
from lerobot_policy_pi05_comet.vlm2.perception import GATED
from lerobot_policy_pi05_comet.vlm2.state import MemoryState
from lerobot_policy_pi05_comet.vlm2.text_query import TextQuery
from lerobot_policy_pi05_comet.vlm2.working_memory import WorkingMemory, remember_latest
from lerobot_policy_pi05_comet.vlm2.zero_gate import ZeroGate


class DualMemory(Memory):
    """Working and episodic memory.

    Args:
        width: D.
        heads: Attention heads, a divisor of D.
        hidden: Width inside the gate.
        working: Slots of the working memory.
        episodic: Slots of the episodic memory.
        tau: Cosine similarity above which an entry is merged into the most similar one.
        alpha: Share of the old entry in a merged one.
        residual_mode: `gated_identity` or `paper`.
        pool_to: Tokens that a picture is averaged to before it is stored, a square; None stores all.
        views: Pictures in an observation.
        store_dtype: Of the stored tokens.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        working: int,
        episodic: int,
        tau: float,
        alpha: float,
        residual_mode: str,
        pool_to: int | None = None,
        views: int = 1,
        store_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.working_memory = WorkingMemory(width, heads)
        self.episodic_memory = EpisodicMemory(width, heads)
        self.fusion = GatedFusion(width, hidden)
        self.query_fusion = TextQuery(width, heads)
        self.layer_norm = nn.LayerNorm(width)
        self.gated = residual_mode == GATED
        scalar = nn.Parameter(torch.zeros(()))
        self.memory_gate: ZeroGate | nn.Parameter = ZeroGate(width) if self.gated else scalar
        self.slots = (working, episodic)
        self.tau, self.alpha = tau, alpha
        self.pool_to, self.views, self.store_dtype = pool_to, views, store_dtype

    def empty(self, like_BND: Tensor, writes: int | None = None) -> MemoryState:
        """See `Memory`."""
        rows, tokens, width = like_BND.shape
        tokens = self.views * self.pool_to if self.pool_to else tokens
        working, episodic = (slots if writes is None else min(slots, writes) for slots in self.slots)
        return empty_state(rows, working, episodic, tokens, width, self.store_dtype, like_BND.device)

    def read(
        self, state: MemoryState, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor
    ) -> Recalled:
        """See `Memory`; the tokens carry what was found, (B, N, D)."""
        query_BND = self.query_fusion(tokens_BND, text_BLD, text_mask_BL)
        fused_BND = self.fusion(
            self.working_memory(query_BND, state.working), self.episodic_memory(query_BND, state.episodic)
        )
        if isinstance(self.memory_gate, ZeroGate):
            found = self.layer_norm(fused_BND) * has_entries(state)[:, None, None]
            return Recalled(tokens_BND + self.memory_gate(found), fused_BND)
        found = torch.tanh(self.memory_gate) * fused_BND
        return Recalled(self.layer_norm(tokens_BND + found), fused_BND)

    def write(
        self, state: MemoryState, tokens_BND: Tensor, found: Tensor | None, rows_B: Tensor
    ) -> MemoryState:
        """See `Memory`; what was found is not needed with gated_identity."""
        entry_BSD = different_BSD = self._pooled(tokens_BND)
        if not self.gated:
            assert found is not None, "the published bank stores what was found"
            first_B = ~has_entries(state)
            different_BSD = torch.where(first_B[:, None, None], entry_BSD, self._pooled(found))
        return MemoryState(
            remember_latest(state.working, entry_BSD, rows_B),
            remember_different(state.episodic, different_BSD, rows_B, self.tau, self.alpha),
        )

    def pass_over(
        self, state: MemoryState, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor, rows_B: Tensor
    ) -> MemoryState:
        """See `Memory`; gated, nothing is read."""
        if not self.gated:
            return super().pass_over(state, tokens_BND, text_BLD, text_mask_BL, rows_B)
        return self.write(state, tokens_BND, None, rows_B)

    def _pooled(self, tokens_BND: Tensor) -> Tensor:
        """What is stored of an observation: its tokens, or averages over squares of patches."""
        if not self.pool_to:
            return tokens_BND
        batch, tokens, width = tokens_BND.shape
        side, stored = round((tokens / self.views) ** 0.5), round(self.pool_to**0.5)
        grid = tokens_BND.reshape(batch * self.views, side, side, width).permute(0, 3, 1, 2)
        pooled = F.adaptive_avg_pool2d(grid, stored).flatten(2).transpose(1, 2)
        return pooled.reshape(batch, -1, width)
