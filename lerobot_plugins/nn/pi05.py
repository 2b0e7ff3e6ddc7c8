"""The network of pi0.5: a PaliGemma prefix and an action expert that denoises a chunk (openpi `PI0Pytorch`).

    prefix = encoder(pictures, prompt)                     once per observation
    v      = action_out(expert(action_in(x_t) | c(t), keys and values of the prefix))

The state is part of the prompt, so the action tokens are the whole suffix. Names of weights are those of
LeRobot's `pi05`.

Legend: B batch, H chunk length, A padded action dims, W expert width, N conditions.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PaliGemmaModel

from lerobot_plugins.nn.action_expert import ActionExpert, Context, expert_context
from lerobot_plugins.nn.flow_matching import euler_integrate, euler_times, sinusoidal_embedding
from lerobot_plugins.nn.precision import float32_island, no_autocast
from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder


class PI05Network(nn.Module):
    """Prefix encoder, action expert and the projections between actions and tokens.

    Args:
        paligemma: A PaliGemma without language head; its sub-modules are taken over.
        expert_variant: A key of `action_expert.GEOMETRIES`.
        max_action_dim: A; shorter actions are padded with zeros.
    """

    def __init__(self, paligemma: PaliGemmaModel, expert_variant: str, max_action_dim: int) -> None:
        super().__init__()
        encoder = PrefixEncoder(paligemma)
        expert = ActionExpert(expert_variant, encoder)
        self.paligemma_with_expert = nn.ModuleDict(
            {
                "paligemma": nn.ModuleDict({"model": encoder}),
                "gemma_expert": nn.ModuleDict({"model": expert}),
            }
        )
        width = expert.width
        self.action_in_proj = float32_island(nn.Linear(max_action_dim, width))
        self.action_out_proj = float32_island(nn.Linear(width, max_action_dim))
        self.time_mlp_in = float32_island(nn.Linear(width, width))
        self.time_mlp_out = float32_island(nn.Linear(width, width))
        self._compiled: Callable[..., Tensor] | None = None

    @property
    def encoder(self) -> PrefixEncoder:
        """The prefix encoder."""
        return self.paligemma_with_expert["paligemma"]["model"]

    @property
    def expert(self) -> ActionExpert:
        """The action expert."""
        return self.paligemma_with_expert["gemma_expert"]["model"]

    def context(
        self, prefix: Prefix, horizon: int, gradient_scale: float = 1.0, in_place: bool = False
    ) -> Context:
        """What the expert attends to; see `expert_context`."""
        return expert_context(self.encoder, prefix, horizon, gradient_scale, in_place)

    @property
    def writes_in_place(self) -> bool:
        """Whether the steps of sampling share buffers; a compiled step must not write into its inputs, or it
        cannot be captured as a CUDA graph."""
        return self._compiled is None

    def compile_step(self, mode: str) -> None:
        """Compile the denoising step of `sample` with `torch.compile`; the first chunk then takes minutes."""
        self._compiled = torch.compile(self.velocity, mode=mode, fullgraph=True)

    def modulations(self, time_N: Tensor) -> list[Tensor]:
        """What the flow times make of the expert's norms; float32, (N, 3W) each."""
        with no_autocast(time_N.device):
            x_NW = sinusoidal_embedding(time_N, self.expert.width)
            condition_NW = F.silu(self.time_mlp_out(F.silu(self.time_mlp_in(x_NW))))
            return self.expert.modulations(condition_NW)

    def velocity(self, x_BHA: Tensor, modulations: list[Tensor], context: Context) -> Tensor:
        """Velocities (B, H, A) of noisy actions, float32."""
        with no_autocast(x_BHA.device):
            tokens_BHW = self.action_in_proj(x_BHA.float())
        hidden_BHW = self.expert(tokens_BHW, modulations, context)
        with no_autocast(x_BHA.device):
            return self.action_out_proj(hidden_BHW.float())

    def sample(
        self,
        prefix: Prefix,
        noise_BHA: Tensor,
        num_steps: int,
        guide: Callable[..., Tensor] | None = None,
    ) -> Tensor:
        """Integrate from noise (t = 1) to actions (t = 0), (B, H, A) float32.

        What depends on the prefix or on the time alone is computed before the first step.
        """
        context = self.context(prefix, noise_BHA.shape[1], in_place=self.writes_in_place)
        table = self.modulations(torch.tensor(euler_times(num_steps), device=noise_BHA.device))
        steps = [[norm_N3W[step : step + 1] for norm_N3W in table] for step in range(num_steps)]
        return self.denoise(context, steps, noise_BHA, guide)

    def denoise(
        self,
        context: Context,
        steps: list[list[Tensor]],
        noise_BHA: Tensor,
        guide: Callable[..., Tensor] | None = None,
        held_BHA: Tensor | None = None,
    ) -> Tensor:
        """Euler steps from noise to actions, (B, H, A) float32.

        Args:
            context: What the expert attends to.
            steps: What `modulations` makes of each step's time, rows (N) broadcast over the batch.
            noise_BHA: The sample at t = 1.
            guide: See `euler_integrate`.
            held_BHA: True where the sample stays t * noise, as if its data were zero: what training has only
                seen so and never supervised.
        """
        step_velocity = self._compiled or self.velocity

        # Real-time chunking guides with gradients on, but never through the network.
        @torch.no_grad()
        def velocity(x_BHA: Tensor, modulations: Any) -> Tensor:
            v_BHA = step_velocity(x_BHA, modulations, context)
            return v_BHA if held_BHA is None else torch.where(held_BHA, noise_BHA, v_BHA)

        return euler_integrate(velocity, noise_BHA.float(), len(steps), guide, conditions=steps)
