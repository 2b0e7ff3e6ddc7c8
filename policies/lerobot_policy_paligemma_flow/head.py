"""The action head: a diffusion transformer that turns noisy action chunks into velocities.

State and action tokens attend to each other and, in every block, to all tokens of the prefix. The prefix's
keys and values are computed once per observation and serve every Euler step and every draw of noise. Time
conditions the blocks by adaLN-single (PixArt-alpha, arXiv 2310.00426): one shared projection plus a small
table per block. Blocks and output start at zero, so the first velocity is 0 and the first loss is
E[noise^2] + E[action^2].

Legend: B observations, K draws per observation, R = B*K rows, H chunk length, A action dims, P state dims,
T state steps, Z tokens (states + chunk), W head width, N heads, E head dim, S prefix tokens, D prefix width,
G layers of the language model that are attended to.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_plugins.nn.precision import float32_island, no_autocast
from lerobot_policy_paligemma_flow.layers import TimeMLP, states_of_steps, two_layers, zero_linear

MODULATIONS = 9  # scale, shift and gate of self-attention, cross-attention and MLP

Context = list[tuple[Tensor, Tensor]]  # per block: keys and values of the prefix, each (B, N, S, E)


class Attention(nn.Module):
    """Multi-head attention with per-head RMS norm of queries and keys."""

    def __init__(self, width: int, num_heads: int, context_width: int | None = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(context_width or width, 2 * width)
        self.out = nn.Linear(width, width)
        self.q_norm = nn.RMSNorm(width // num_heads, eps=1e-6)
        self.k_norm = nn.RMSNorm(width // num_heads, eps=1e-6)

    def keys_values(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, N, S, E) of a context."""
        k, v = self.kv(x_BSD).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.k_norm(k.float()).to(v.dtype), v

    def forward(
        self, x_RZW: Tensor, k_BNSE: Tensor, v_BNSE: Tensor, mask_B11S: Tensor | None = None
    ) -> Tensor:
        """Attend from x; the mask is True where a key is real.

        R may be a multiple K of B: the K rows of an observation become one longer row of queries, so that
        its keys and values are never copied.
        """
        q_BZW = self.q(x_RZW).reshape(k_BNSE.shape[0], -1, x_RZW.shape[-1])
        q_BNZE = self.q_norm(q_BZW.unflatten(-1, (self.num_heads, -1)).transpose(1, 2).float())
        mixed = F.scaled_dot_product_attention(q_BNZE.to(v_BNSE.dtype), k_BNSE, v_BNSE, attn_mask=mask_B11S)
        return self.out(mixed.transpose(1, 2).reshape(x_RZW.shape))


class PaligemmaFlowBlock(nn.Module):
    """Self-attention, cross-attention to the prefix, MLP; each modulated and gated by time."""

    def __init__(
        self, width: int, num_heads: int, mlp_width: int, context_width: int, dropout: float
    ) -> None:
        super().__init__()
        self.self_attention = Attention(width, num_heads)
        self.cross_attention = Attention(width, num_heads, context_width)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_width),
            nn.GELU(approximate="tanh"),
            nn.Dropout(dropout),
            nn.Linear(mlp_width, width),
        )
        self.dropout = nn.Dropout(dropout)
        self.modulation_table = nn.Parameter(torch.zeros(MODULATIONS, width))

    def forward(
        self,
        x_RZW: Tensor,
        modulation_RMW: Tensor,
        context: tuple[Tensor, Tensor],
        context_mask: Tensor,
        token_mask: Tensor | None = None,
    ) -> Tensor:
        """One block; gates start at zero, so a fresh block is the identity.

        The token mask is True where a token is real, (R, 1, 1, Z); None where all are.
        """
        parts = (modulation_RMW + self.modulation_table)[:, :, None, :].unbind(1)
        scale1, shift1, gate1, scale2, shift2, gate2, scale3, shift3, gate3 = parts
        y = normalize(x_RZW) * (1 + scale1) + shift1
        attended = self.self_attention(y, *self.self_attention.keys_values(y), token_mask)
        x_RZW = x_RZW + gate1 * self.dropout(attended)
        y = normalize(x_RZW) * (1 + scale2) + shift2
        x_RZW = x_RZW + gate2 * self.dropout(self.cross_attention(y, *context, context_mask))
        y = normalize(x_RZW) * (1 + scale3) + shift3
        return x_RZW + gate3 * self.dropout(self.mlp(y))


class FlowHead(nn.Module):
    """Velocity of a noisy action chunk, given state, time and the prefix.

    Args:
        action_width: A.
        state_width: P; 0 for no state token.
        state_steps: Observation steps whose states are seen, one token each.
        chunk_size: H.
        context_width: D.
        context_of_block: Which of the G contexts each block attends to; None is the only one, for all.
        width, depth, num_heads, mlp_ratio, dropout: Geometry.
        min_period, max_period: Of the time embedding.
    """

    def __init__(
        self,
        *,
        action_width: int,
        state_width: int,
        chunk_size: int,
        context_width: int,
        width: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        dropout: float,
        min_period: float,
        max_period: float,
        state_steps: int = 1,
        context_of_block: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.context_of_block = context_of_block or [0] * depth
        self.num_state_tokens = state_steps if state_width else 0
        self.action_in = nn.Linear(action_width, width)
        self.position = nn.Parameter(torch.randn(self.num_state_tokens + chunk_size, width) * 0.02)
        if state_width:
            self.state_in = two_layers(state_width, width)
        self.time_in = TimeMLP(width, (min_period, max_period))
        self.modulation = zero_linear(width, MODULATIONS * width)
        self.blocks = nn.ModuleList(
            PaligemmaFlowBlock(width, num_heads, int(mlp_ratio * width), context_width, dropout)
            for _ in range(depth)
        )
        self.final_modulation = float32_island(zero_linear(width, 2 * width))
        self.action_out = float32_island(zero_linear(width, action_width))

    def forward(
        self,
        x_RHA: Tensor,
        time_R: Tensor,
        state_BP: Tensor | None,
        context: Context,
        context_mask_BS: Tensor,
        state_mask_BT: Tensor | None = None,
    ) -> Tensor:
        """Velocities (R, H, A) in float32; the B observations serve R = B*K rows, K rows each.

        Args:
            x_RHA: Noisy actions; the K rows of an observation follow each other.
            time_R: Flow times.
            state_BP: Normalised state, or the states (B, T, P) of T steps, oldest first, or None.
            context: What `context_keys_values` made of the prefix.
            context_mask_BS: True where a prefix token is real.
            state_mask_BT: True where a state is to be seen; None where all are.
        """
        repeats = x_RHA.shape[0] // context_mask_BS.shape[0]
        tokens = self.action_in(x_RHA)
        if self.num_state_tokens:
            assert state_BP is not None, "this head was built with a state"
            state_RTW = self.state_in(states_of_steps(state_BP)).repeat_interleave(repeats, dim=0)
            tokens = torch.cat([state_RTW, tokens], dim=1)
        x_RZW = tokens + self.position
        condition_RW = F.silu(self.time_in(time_R))
        modulation_RMW = self.modulation(condition_RW).unflatten(-1, (MODULATIONS, -1))
        mask_B11S = context_mask_BS[:, None, None, :]
        token_mask_R11Z = self._token_mask(state_mask_BT, repeats)
        for block, keys_values in zip(self.blocks, context, strict=True):
            x_RZW = block(x_RZW, modulation_RMW, keys_values, mask_B11S, token_mask_R11Z)
        with no_autocast(x_RZW.device):
            scale, shift = self.final_modulation(condition_RW.float())[:, None].chunk(2, dim=-1)
            x_RZW = normalize(x_RZW.float()) * (1 + scale) + shift
            return self.action_out(x_RZW[:, self.num_state_tokens :])

    def _token_mask(self, state_mask_BT: Tensor | None, repeats: int) -> Tensor | None:
        if state_mask_BT is None or not self.num_state_tokens:
            return None
        mask_BZ = F.pad(state_mask_BT, (0, self.position.shape[0] - self.num_state_tokens), value=True)
        return mask_BZ.repeat_interleave(repeats, dim=0)[:, None, None, :]

    def context_keys_values(self, context_GBSD: Tensor) -> Context:
        """The prefix's keys and values for every block, computed once per observation."""
        return [
            block.cross_attention.keys_values(context_GBSD[place])
            for block, place in zip(self.blocks, self.context_of_block, strict=True)
        ]


def normalize(x: Tensor) -> Tensor:
    """Layer norm without weights; adaLN supplies them."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)
