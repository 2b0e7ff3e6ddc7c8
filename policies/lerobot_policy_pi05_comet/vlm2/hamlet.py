"""HAMLET's memory: learned moment tokens that a small transformer follows through time.

    s    = mean of picture and prompt tokens
    cur  = moment tokens + W_s s                              (T, D)
    ctx  = transformer(latest curs, cur), causal              its last T outputs
    mem  = W_m (cur + tanh(g) ctx)                            g = 0 at the start
    prefix <- prefix, cur, mem

W_s and W_m start as the identity. The published form for pi0.5 (openpi-comet) shows its transformer no past
in training; here training reads the batch's history as acting reads the episode. Joining tokens are seen from
the first step on, so this memory does not start as the pretrained policy.

Source: HAMLET (arXiv 2510.00695), as openpi-comet puts it in front of pi0.5.

Legend: B rows, T moment tokens, W remembered moments, S = (W + 1) T, D width, H heads, L text tokens.
"""

import torch
from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.memory import Memory, Recalled, empty_state, identity_linear, summary
from lerobot_policy_pi05_comet.vlm2.state import MemoryState, WorkingState
from lerobot_policy_pi05_comet.vlm2.working_memory import remember_latest

MOMENT_TOKENS, LAYERS = 4, 2


class MomentContext(nn.Module):
    """cur + tanh(g) * what a causal transformer makes of the past and cur.

    Args:
        width: D.
        heads: H, a divisor of D.
        layers: Of the transformer, pre-norm, 4 D wide inside.
    """

    def __init__(self, width: int, heads: int, layers: int = LAYERS) -> None:
        super().__init__()
        self.heads = heads
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.memory_gate = nn.Parameter(torch.zeros(()))

    def forward(self, state: WorkingState, current_BTD: Tensor) -> Tensor:
        """(B, T, D), given the remembered moments, oldest first."""
        tokens = current_BTD.shape[1]
        past_BWTD = state.tokens_BWND.detach().to(current_BTD.dtype)
        x_BSD = torch.cat([past_BWTD.flatten(1, 2), current_BTD], dim=1)
        known_BS = torch.cat(
            [
                state.valid_BW.repeat_interleave(tokens, dim=1),
                state.valid_BW.new_ones(len(x_BSD), tokens),
            ],
            dim=1,
        )
        place_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        visible_BSS = (place_S[:, None] >= place_S) & known_BS[:, None]
        # Slots without an entry see themselves: a softmax over nothing is NaN, and NaN is not masked away.
        hidden_BSS = ~(visible_BSS | (place_S[:, None] == place_S))
        mask = hidden_BSS.repeat_interleave(self.heads, dim=0)
        for layer in self.layers:
            x_BSD = layer(x_BSD, src_mask=mask)
        return current_BTD + torch.tanh(self.memory_gate) * x_BSD[:, -tokens:]


class HamletMemory(Memory):
    """Moment tokens of the latest moments.

    Args:
        width: D.
        heads: Attention heads, a divisor of D.
        history: Moments that are remembered; published 4.
        store_dtype: Of the stored tokens.
    """

    def __init__(
        self, width: int, heads: int, *, history: int, store_dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.moment_tokens_TD = nn.Parameter(0.02 * torch.randn(MOMENT_TOKENS, width))
        self.summary_proj = identity_linear(width)
        self.context = MomentContext(width, heads)
        self.prefix_proj = identity_linear(width)
        self.history, self.store_dtype = history, store_dtype

    def empty(self, like_BND: Tensor, writes: int | None = None) -> MemoryState:
        """See `Memory`."""
        slots = self.history if writes is None else min(self.history, writes)
        rows, _, width = like_BND.shape
        return empty_state(rows, slots, 0, MOMENT_TOKENS, width, self.store_dtype, like_BND.device)

    def read(
        self, state: MemoryState, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor
    ) -> Recalled:
        """See `Memory`; cur and mem join the prefix, cur is what is written."""
        current_BTD = self._current(tokens_BND, text_BLD, text_mask_BL)
        recalled_BTD = self.prefix_proj(self.context(state.working, current_BTD))
        return Recalled(tokens_BND, current_BTD, torch.cat([current_BTD, recalled_BTD], dim=1))

    def write(
        self, state: MemoryState, tokens_BND: Tensor, found: Tensor | None, rows_B: Tensor
    ) -> MemoryState:
        """See `Memory`."""
        assert found is not None
        return MemoryState(remember_latest(state.working, found, rows_B), state.episodic)

    def pass_over(
        self, state: MemoryState, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor, rows_B: Tensor
    ) -> MemoryState:
        """See `Memory`; nothing is read."""
        return self.write(state, tokens_BND, self._current(tokens_BND, text_BLD, text_mask_BL), rows_B)

    def _current(self, tokens_BND: Tensor, text_BLD: Tensor, text_mask_BL: Tensor) -> Tensor:
        seen_BD = self.summary_proj(summary(tokens_BND, text_BLD, text_mask_BL))
        return self.moment_tokens_TD + seen_BD[:, None]
