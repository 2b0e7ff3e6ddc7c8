"""The network of `waypoint_vla`: pi0.5's, with a goal before the actions and plans written behind a prompt.

    goal = [proprio(start), proprio(end), duration]              tokens that lead the actions
    v    = action_out(expert(goal, action_in(x_t) | c(t), keys and values of the prefix))
    plan = Gemma's own head over text behind its prefix

Names of weights are those of LeRobot's `pi05`. New are `proprio_encoder`, `duration_embed` and `token_rows`.

Legend: B batch, H chunk length, A padded action dims, K padded state dims, G goal tokens, W expert width,
N conditions, L plan tokens, D language width, R rows of the token table that plans use.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PaliGemmaModel

from lerobot_plugins.nn.action_expert import Context, expert_context
from lerobot_plugins.nn.flow_matching import sinusoidal_embedding
from lerobot_plugins.nn.pi05 import PI05Network
from lerobot_plugins.nn.precision import float32_island, no_autocast
from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder
from lerobot_plugins.nn.text_head import vocabulary_logits
from lerobot_policy_waypoint_vla.tokens import DURATIONS

# The largest duration that has a token; durations join the time condition as a share of it.
LONGEST = DURATIONS - 1


@dataclass
class Goal:
    """Where a segment starts and ends and how long it takes; one per row.

    Attributes:
        start_BK: Normalised state at the start, padded with zeros.
        end_BK: The same at the end.
        duration_B: Control steps, int64.
    """

    start_BK: Tensor
    end_BK: Tensor
    duration_B: Tensor


@dataclass
class GoalContext(Context):
    """What the expert attends to, with the embedded goal that leads the actions."""

    goal_BGW: Tensor


class WaypointNetwork(PI05Network):
    """pi0.5 told where to go, with a planner in its PaliGemma or in one of its own.

    Args:
        paligemma: The expert's PaliGemma, without language head; its sub-modules are taken over.
        expert_variant: A key of `action_expert.GEOMETRIES`.
        max_action_dim: A.
        max_state_dim: K.
        duration_token: Whether the duration is a token; else it joins the time condition.
        token_rows: R.
        planner: A PaliGemma for the planner alone; None shares the expert's.
    """

    def __init__(
        self,
        paligemma: PaliGemmaModel,
        expert_variant: str,
        max_action_dim: int,
        max_state_dim: int,
        duration_token: bool,
        token_rows: int,
        planner: PaliGemmaModel | None = None,
    ) -> None:
        super().__init__(paligemma, expert_variant, max_action_dim)
        width = self.expert.width
        self.proprio_encoder = float32_island(nn.Linear(max_state_dim, width))
        self.duration_embed = float32_island(nn.Embedding(DURATIONS, width)) if duration_token else None
        if not duration_token:
            self.time_mlp_in = float32_island(nn.Linear(2 * width, width))
        self.planner = PrefixEncoder(planner) if planner is not None else None
        # Added to the rows of the token table that plans use: what adapters train instead of the table.
        self.token_rows = float32_island(nn.Embedding(token_rows, self.encoder.width))
        self.reset_new_modules()

    def reset_new_modules(self) -> None:
        """Initial values of what pi0.5 does not have."""
        self.proprio_encoder.reset_parameters()
        if self.duration_embed is not None:
            nn.init.normal_(self.duration_embed.weight, std=0.02)
        nn.init.zeros_(self.token_rows.weight)

    @property
    def planner_encoder(self) -> PrefixEncoder:
        """The PaliGemma that plans."""
        return self.planner if self.planner is not None else self.encoder

    # The expert.

    def goal_context(
        self,
        prefix: Prefix,
        goal: Goal,
        horizon: int,
        gradient_scale: float = 1.0,
        in_place: bool = False,
    ) -> GoalContext:
        """What the expert attends to on the way to a goal; see `expert_context`."""
        with no_autocast(goal.start_BK.device):
            parts = [self.proprio_encoder(state_BK.float()) for state_BK in (goal.start_BK, goal.end_BK)]
            if self.duration_embed is not None:
                parts.append(self.duration_embed(goal.duration_B))
        goal_BGW = torch.stack(parts, dim=1)
        leading = goal_BGW.shape[1]
        context = expert_context(
            self.encoder, prefix, leading + horizon, gradient_scale, in_place, leading=leading
        )
        return GoalContext(**vars(context), goal_BGW=goal_BGW)

    def modulations(self, time_N: Tensor, duration_N: Tensor | None = None) -> list[Tensor]:
        """What flow times (and durations, where they have no token) make of the expert's norms."""
        if self.duration_embed is not None:
            return super().modulations(time_N)
        assert duration_N is not None, "without a token, the duration is part of the condition"
        width = self.expert.width
        with no_autocast(time_N.device):
            x_NW = sinusoidal_embedding(time_N, width)
            share_NW = sinusoidal_embedding(duration_N.float() / LONGEST, width)
            inner_NW = F.silu(self.time_mlp_in(torch.cat([x_NW, share_NW], dim=-1)))
            return self.expert.modulations(F.silu(self.time_mlp_out(inner_NW)))

    def step_modulations(self, times: list[float], goal: Goal) -> list[list[Tensor]]:
        """The modulations of every Euler step; one row for all goals where they do not depend on them."""
        rows = 1 if self.duration_embed is not None else len(goal.duration_B)
        time_N = torch.tensor(times, device=goal.duration_B.device).repeat_interleave(rows)
        table = self.modulations(time_N, goal.duration_B.repeat(len(times)))
        starts = range(0, len(time_N), rows)
        return [[norm_N3W[start : start + rows] for norm_N3W in table] for start in starts]

    def velocity(self, x_BHA: Tensor, modulations: list[Tensor], context: Context) -> Tensor:
        """Velocities (B, H, A) of noisy actions behind the context's goal, float32."""
        assert isinstance(context, GoalContext)
        with no_autocast(x_BHA.device):
            actions_BHW = self.action_in_proj(x_BHA.float())
        tokens = torch.cat([context.goal_BGW, actions_BHW], dim=1)
        hidden_BHW = self.expert(tokens, modulations, context)[:, context.goal_BGW.shape[1] :]
        with no_autocast(x_BHA.device):
            return self.action_out_proj(hidden_BHW.float())

    # The planner's tokens.

    def embed_plan(self, ids_BL: Tensor, bottom: int) -> Tensor:
        """Embedded plan tokens (B, L, D), whose ids are `bottom` and the R - 1 above it."""
        table = self.planner_encoder.language_model.embed_tokens
        rows_BLD = self.token_rows(ids_BL - bottom) * self.planner_encoder.width**0.5
        embedded_BLD = table(ids_BL)
        return embedded_BLD + rows_BLD.to(embedded_BLD.dtype)

    def head(self, ids: Tensor, bottom: int) -> Tensor:
        """Rows of the language head for some plan tokens, (len(ids), D)."""
        table = self.planner_encoder.language_model.embed_tokens.weight
        return table[ids] + self.token_rows.weight[ids - bottom].to(table.dtype)

    def logits(self, hidden_ND: Tensor, bottom: int) -> Tensor:
        """Logits of the whole vocabulary for hidden states, (N, V) in the dtype of the products."""
        logits_NV = vocabulary_logits(self.planner_encoder, hidden_ND)
        rows = slice(bottom, bottom + len(self.token_rows.weight))
        logits_NV[:, rows] += F.linear(hidden_ND, self.token_rows.weight.to(hidden_ND.dtype))
        return logits_NV
