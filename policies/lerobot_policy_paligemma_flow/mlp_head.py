"""The light action head: an MLP that turns a noisy chunk into velocities, for little data and for CPUs.

One learned query reads the prefix; what it found, the noisy chunk, the flow time and the states are summed
and pass the MLP. The output starts at zero, as the DiT head's does.

Legend: B observations, K draws per observation, R = B*K rows, H chunk length, A action dims, P state dims,
T state steps, S prefix tokens, D prefix width, W width.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lerobot_plugins.nn.precision import float32_island, no_autocast
from lerobot_policy_paligemma_flow.layers import TimeMLP, states_of_steps, two_layers, zero_linear

Context = tuple[Tensor, Tensor]  # what the query is compared with and what it takes: (B, S) and (B, S, W)


class MLPFlowHead(nn.Module):
    """Velocity of a noisy action chunk; called as `FlowHead` is.

    Args:
        action_width: A.
        state_width: P; 0 for no state.
        state_steps: T.
        chunk_size: H.
        context_width: D.
        hidden_dims: Widths of the MLP's layers; the first is W.
        dropout: After each of them.
        min_period, max_period: Of the time embedding.
    """

    def __init__(
        self,
        *,
        action_width: int,
        state_width: int,
        state_steps: int,
        chunk_size: int,
        context_width: int,
        hidden_dims: Sequence[int],
        dropout: float,
        min_period: float,
        max_period: float,
    ) -> None:
        super().__init__()
        width = hidden_dims[0]
        self.chunk = (chunk_size, action_width)
        self.score = nn.Linear(context_width, 1)
        self.value = nn.Linear(context_width, width)
        self.action_in = nn.Linear(chunk_size * action_width, width)
        self.time_in = TimeMLP(width, (min_period, max_period))
        self.state_in: nn.Module | None = None
        if state_width:
            self.state_in = two_layers(state_width, width)
            self.step_position = nn.Parameter(torch.randn(state_steps, width) * 0.02)
        layers: list[nn.Module] = [nn.SiLU(), nn.Dropout(dropout)]
        for before, after in pairwise(hidden_dims):
            layers += [nn.Linear(before, after), nn.SiLU(), nn.Dropout(dropout)]
        self.mlp = nn.Sequential(*layers)
        self.action_out = float32_island(zero_linear(hidden_dims[-1], chunk_size * action_width))

    def forward(
        self,
        x_RHA: Tensor,
        time_R: Tensor,
        state_BP: Tensor | None,
        context: Context,
        context_mask_BS: Tensor,
        state_mask_BT: Tensor | None = None,
    ) -> Tensor:
        """Velocities (R, H, A) in float32; see `FlowHead.forward`."""
        repeats = x_RHA.shape[0] // context_mask_BS.shape[0]
        score_BS, value_BSW = context
        weight_BS = score_BS.float().masked_fill(~context_mask_BS, float("-inf")).softmax(dim=-1)
        observed_BW = torch.einsum("bs,bsw->bw", weight_BS.to(value_BSW.dtype), value_BSW)
        if self.state_in is not None:
            assert state_BP is not None, "this head was built with a state"
            observed_BW = observed_BW + self._state(state_BP, state_mask_BT)
        y_RW = observed_BW.repeat_interleave(repeats, dim=0) + self.action_in(x_RHA.flatten(1))
        y_RW = y_RW + self.time_in(time_R)
        hidden = self.mlp(y_RW)
        with no_autocast(x_RHA.device):
            return self.action_out(hidden.float()).unflatten(-1, self.chunk)

    def _state(self, state_BP: Tensor, mask_BT: Tensor | None) -> Tensor:
        """Mean over the states that are to be seen, (B, W); 0 where there are none."""
        assert self.state_in is not None
        tokens_BTW = self.state_in(states_of_steps(state_BP)) + self.step_position
        if mask_BT is None:
            return tokens_BTW.mean(dim=1)
        seen_BT1 = mask_BT[..., None].to(tokens_BTW.dtype)
        return (tokens_BTW * seen_BT1).sum(dim=1) / seen_BT1.sum(dim=1).clamp(min=1)

    def context_keys_values(self, context_GBSD: Tensor) -> Context:
        """What every Euler step and every draw of noise reads of the prefix's one context, computed once."""
        (context_BSD,) = context_GBSD
        return self.score(context_BSD).squeeze(-1), self.value(context_BSD)
