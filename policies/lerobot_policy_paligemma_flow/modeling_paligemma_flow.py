"""`paligemma_flow`: PaliGemma encodes pictures and prompt once, a DiT head turns noise into actions.

    prefix  = encoder(pictures, prompt)                     once per observation
    context = LayerNorm(prefix)                             float32, of one or of several layers
    v       = head(x_t, t, state | keys and values of the context, computed once)
    actions = Euler steps from noise (t = 1) to data (t = 0)

In training the head sees `flow_repeats` draws of noise and time for one pass of the PaliGemma, which is
more than 95 % of the arithmetic.

Legend: B batch, V cameras, C channels, h w picture size, L prompt tokens, S prefix tokens, D their width,
K draws per observation, H chunk length, A action dims, P state dims, G attended layers.
"""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from lerobot.utils.constants import ACTION, OBS_STATE
from torch import Tensor, nn

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn import paligemma
from lerobot_plugins.nn.flow_matching import euler_integrate, flow_pair, sample_noise, sample_time
from lerobot_plugins.nn.gradients import scale_gradient
from lerobot_plugins.nn.precision import no_autocast
from lerobot_plugins.nn.prefix_encoder import Prefix
from lerobot_plugins.nn.resamplers import Resampler
from lerobot_plugins.policy.base import ZooPolicy
from lerobot_plugins.policy.batches import prompt_tokens
from lerobot_plugins.policy.losses import LossTerm
from lerobot_plugins.policy.pictures import CameraPictures
from lerobot_policy_paligemma_flow.configuration_paligemma_flow import PaliGemmaFlowConfig
from lerobot_policy_paligemma_flow.heads import attended_layers, build_head
from lerobot_policy_paligemma_flow.history import WINDOW, Frame, History, Step, alike, concatenated
from lerobot_policy_paligemma_flow.vlm import build_encoder, build_resampler

logger = logging.getLogger(__name__)

# Parts that no pretrained PaliGemma has.
FROM_SCRATCH = (
    "action_head",
    "context_norm",
    "layer_norms",
    "vision_resampler",
    "temporal_embedding",
    "camera_embedding",
)
INTERPOLATION = "bicubic"  # as PaliGemma's own image processor


class PaliGemmaFlowPolicy(ZooPolicy):
    """The policy type `paligemma_flow`."""

    config_class = PaliGemmaFlowConfig
    name = "paligemma_flow"
    pretrained_sources = paligemma.PRETRAINED
    # Classes that FSDP wraps one by one; accelerate refuses names that no module has.
    _no_split_modules: ClassVar = ["SiglipEncoderLayer", "GemmaDecoderLayer", "PaligemmaFlowBlock"]
    network_fields: ClassVar = (
        *ZooPolicy.network_fields,
        "head_type",
        "mlp_hidden_dims",
        "context_source",
        "n_obs_steps",
        "history_mode",
        "vision_resampler_type",
        "resampler_num_tokens",
    )

    def __init__(
        self,
        config: PaliGemmaFlowConfig,
        dataset_stats: dict | None = None,
        dataset_meta: Any = None,
        load_backbone: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, dataset_stats, dataset_meta, load_backbone)
        self.vlm = build_encoder(config, load_backbone)
        layers = (*self._no_split_modules, "Gemma2DecoderLayer")
        attended = attended_layers(config, self.vlm.num_layers)
        distinct = sorted(set(attended))
        self.lower_layers = distinct[:-1]
        self.layer_norms = nn.ModuleList(nn.LayerNorm(self.vlm.width) for _ in self.lower_layers)
        self.context_norm = nn.LayerNorm(self.vlm.width)
        self.action_head = build_head(config, self.vlm.width, [distinct.index(layer) for layer in attended])
        assert config.camera_order is not None, "validate_features resolved it"
        self.vision_resampler = build_resampler(config, self.vlm)
        self.mode = config.resolved_history_mode
        # Zero at first: a pretrained prefix is left as it is.
        if self.mode != "last":
            self.temporal_embedding = zero_embedding(config.n_obs_steps, self.vlm.width)
        if self.mode in ("joint", "compressed"):
            self.camera_embedding = zero_embedding(len(config.camera_order), self.vlm.width)
        self.history = History(config.n_obs_steps, config.camera_order, config.use_state_input)
        self._spacing_warned = self._clipping_warned = False
        self.settle_parameters()
        present = {type(module).__name__ for module in self.modules()}
        setattr(self, "_no_split_modules", [name for name in layers if name in present])  # noqa: B010  mypy
        self.pictures = CameraPictures(
            config.camera_order,
            self.vlm.image_size,
            config.image_resize,
            INTERPOLATION,
            allow_missing=config.allow_missing_cameras,
        )

    # Observation.

    def encode(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Context (G, B, S, D) in float32 and its mask (B, S) for a batch of observations."""
        if self.config.n_obs_steps == 1:
            prefix = self._prefix(batch)
            return self._context(prefix), prefix.mask_BS
        steps = self.history.steps(batch)
        if self.mode == "per_frame":
            return self._frame_contexts(steps)
        prefix = self._prefix(steps[-1].frame.observation) if self.mode == "last" else self._joint(steps)
        return self._context(prefix), prefix.mask_BS

    def _prefix(self, batch: dict[str, Any]) -> Prefix:
        """One observation of every row, pictures first."""
        images = list(self.pictures(batch, self.training).values())
        return self.vlm(
            images,
            [None] * len(images),
            *prompt_tokens(batch),
            after=self.lower_layers,
            resampler=self.vision_resampler,
        )

    def _context(self, prefix: Prefix) -> Tensor:
        """What the head attends to, (G, B, S, D) float32; scales the gradient that comes back from there."""
        assert prefix.hidden_BSD is not None
        scale = 1.0
        if self.training:
            warming_up = self.config.trained_steps < self.config.vlm_warmup_steps
            scale = 0.0 if warming_up else self.config.vlm_grad_scale
        norms = [*self.layer_norms, self.context_norm]
        with no_autocast(prefix.hidden_BSD.device):
            return torch.stack(
                [
                    norm(scale_gradient(hidden_BSD, scale).float())
                    for norm, hidden_BSD in zip(norms, [*prefix.between, prefix.hidden_BSD], strict=True)
                ]
            )

    def _frame_contexts(self, steps: Sequence[Step]) -> tuple[Tensor, Tensor]:
        """Every frame's own context, one behind the other; frames that were encoded before are not again."""
        new = list({id(step.frame): step.frame for step in steps if step.frame.encoded is None}.values())
        for frames in alike(new):
            self._encode_frames(frames)
        contexts, masks = [], []
        for age, step in enumerate(steps):
            context_GBSD, mask_BS = step.frame.encoded
            contexts.append(context_GBSD + self._row(self.temporal_embedding, age))
            masks.append(mask_BS & step.valid_B[:, None])
        return torch.cat(contexts, dim=2), torch.cat(masks, dim=1)

    def _encode_frames(self, frames: list[Frame]) -> None:
        """All frames in one pass of the PaliGemma."""
        prefix = self._prefix(concatenated(frames))
        parts = self._context(prefix).chunk(len(frames), dim=1), prefix.mask_BS.chunk(len(frames))
        for frame, context_GBSD, mask_BS in zip(frames, *parts, strict=True):
            frame.encoded = (context_GBSD, mask_BS)

    def _joint(self, steps: Sequence[Step]) -> Prefix:
        """One prefix of all frames, oldest first, and the newest prompt behind them."""
        older, newest = steps[:-1], steps[-1:]
        if self.mode == "joint":
            parts = [self._pictures(steps, 0, self.vision_resampler)]
        else:
            parts = [
                self._pictures(older, 0, self.vision_resampler),
                self._pictures(newest, len(older), None),
            ]
        pictures_BND, mask_BN = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        prompt = prompt_tokens(steps[-1].frame.observation)
        return self.vlm.encode(*self.vlm.with_prompt(pictures_BND, mask_BN, *prompt), after=self.lower_layers)

    def _pictures(
        self, steps: Sequence[Step], age: int, resampler: Resampler | None
    ) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) and mask (B, N) of the pictures of some steps; `age` is the first one's place."""
        images, masks, places = [], [], []
        for index, step in enumerate(steps, start=age):
            for name, image in self.pictures(step.frame.observation, self.training).items():
                images.append(image)
                masks.append(step.valid_B)
                camera = self.config.camera_order.index(name)
                places.append(
                    self._row(self.temporal_embedding, index) + self._row(self.camera_embedding, camera)
                )
        tokens_BND, mask_BN = self.vlm.embed_images(images, masks, resampler)
        place_ND = torch.cat(places).repeat_interleave(tokens_BND.shape[1] // len(places), dim=0)
        return tokens_BND + place_ND.to(tokens_BND.dtype), mask_BN

    def _row(self, table: nn.Module, index: int) -> Tensor:
        return table(torch.tensor([index], device=self.device))

    def _state(self, batch: dict[str, Any]) -> tuple[Tensor | None, Tensor | None]:
        """Normalised state (B, P), or the states of T steps (B, T, P) and which of them count, (B, T)."""
        if not self.config.use_state_input:
            return None, None
        if self.config.n_obs_steps == 1:
            state = batch[OBS_STATE]
            return self._clipped(state[:, -1] if state.ndim == 3 else state), None
        steps = self.history.steps(batch)
        states = torch.stack([step.frame.observation[OBS_STATE] for step in steps], dim=1)
        return self._clipped(states), torch.stack([step.valid_B for step in steps], dim=1)

    def _clipped(self, state: Tensor) -> Tensor:
        """States (..., P) within `state_clip`; the first that is not is said."""
        limit = self.config.state_limit
        if limit is None:
            return state
        if not self._clipping_warned:
            beyond_P = (state.abs() > limit).flatten(0, -2).any(dim=0)
            if beyond_P.any():
                logger.warning(
                    "observation.state lies far outside of its statistics in dimensions %s and is clipped to "
                    "%g in normalised units: other units, another robot, or other statistics than in "
                    "training? (--policy.state_clip=null does not clip)",
                    beyond_P.nonzero().flatten().tolist(),
                    limit,
                )
                self._clipping_warned = True
        return state.clamp(-limit, limit)

    # Memory of running episodes.

    def observe(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch together with the steps before it, where the policy sees more than one.

        Raises:
            ZooError: The batch is stacked, but not of n_obs_steps steps; or the number of environments
                changed without `reset()`.
        """
        if self.config.n_obs_steps == 1 or WINDOW in batch:
            return batch
        if self.history.is_stacked(batch):
            return batch | {WINDOW: self.history.steps(batch)}
        if self.rtc_enabled and not self._spacing_warned:
            logger.warning(
                "real-time chunking asks for a chunk now and then: the %d observed steps are then as far "
                "apart as its questions, and not one control step as in training",
                self.config.n_obs_steps,
            )
            self._spacing_warned = True
        return batch | {WINDOW: self.history.push(batch)}

    def reset(self) -> None:
        super().reset()
        self.history.reset()

    # Training.

    def loss_terms(
        self, batch: dict[str, Any], rng: np.random.Generator
    ) -> tuple[list[LossTerm], dict[str, Tensor]]:
        """Squared velocity errors (B, K, H, A), and the flow loss at low and high times."""
        context_GBSD, mask_BS = self.encode(batch)
        action_BHA = batch[ACTION].float()
        batch_size, horizon, width = action_BHA.shape
        if self.training:
            draws = self.config.flow_repeats
            time = sample_time(
                rng, (batch_size, draws), self.config.time_sampling, self.config.time_beta_alpha
            )
        else:
            draws = self.config.eval_time_samples
            time = ((torch.arange(draws) + 0.5) / draws).expand(batch_size, draws)
        shape = (batch_size, draws, horizon, width)
        noise_BKHA = sample_noise(rng, shape, self.config.noise_distribution).to(action_BHA.device)
        state, state_mask_BT = self._state(batch)
        if self.training and state is not None and self.config.state_dropout:
            kept_B = torch.from_numpy(rng.random(batch_size) >= self.config.state_dropout).to(state.device)
            seen_BT = kept_B[:, None].expand(-1, self.config.n_obs_steps)
            state_mask_BT = seen_BT if state_mask_BT is None else state_mask_BT & seen_BT
        hidden = () if state_mask_BT is None else (state_mask_BT,)
        error_BKHA = self.velocity_errors(
            context_GBSD, mask_BS, state, action_BHA, noise_BKHA, time.to(action_BHA.device), *hidden
        )
        weights = self.config.action_dim_weights
        weight_A = torch.ones(width) if weights is None else torch.tensor(weights, dtype=torch.float32)
        term = LossTerm(error_BKHA, weight_A.to(action_BHA.device), per_action=True)
        return [term], self._logs(error_BKHA.detach(), time)

    def velocity_errors(
        self,
        context_GBSD: Tensor,
        mask_BS: Tensor,
        state: Tensor | None,
        action_BHA: Tensor,
        noise_BKHA: Tensor,
        time_BK: Tensor,
        state_mask_BT: Tensor | None = None,
    ) -> Tensor:
        """Squared errors (B, K, H, A) of the predicted velocity for given noise and times, float32."""
        x_BKHA, target_BKHA = flow_pair(action_BHA[:, None], noise_BKHA, time_BK)
        velocity_RHA = self.action_head(
            x_BKHA.flatten(0, 1),
            time_BK.flatten(),
            state,
            self.action_head.context_keys_values(context_GBSD),
            mask_BS,
            state_mask_BT,
        )
        return (velocity_RHA.float().view_as(target_BKHA) - target_BKHA).square()

    @staticmethod
    def _logs(error_BKHA: Tensor, time_BK: Tensor) -> dict[str, Tensor]:
        """Mean error at times below and above one half (padding included); the same keys on every rank."""
        error_BK = error_BKHA.mean(dim=(-1, -2))
        high = (time_BK >= 0.5).to(error_BK.device).float()
        return {
            "flow_loss_t_low": (error_BK * (1 - high)).sum() / (1 - high).sum().clamp(min=1),
            "flow_loss_t_high": (error_BK * high).sum() / high.sum().clamp(min=1),
        }

    # Inference.

    def sample_chunk(self, batch: dict[str, Any], noise_BHA: Tensor | None, **rtc: Any) -> Tensor:
        """Actions (B, H, A), normalised; the prefix and its keys and values are computed once."""
        state, state_mask_BT = self._state(batch)  # first: what it may say waits for nothing else then
        context_GBSD, mask_BS = self.encode(batch)
        context = self.action_head.context_keys_values(context_GBSD)
        shape = (len(mask_BS), self.config.chunk_size, self.config.action_width)
        if noise_BHA is None:
            noise = sample_noise(self.sampling_generator(), (1, *shape[1:]), self.config.noise_distribution)
            noise_BHA = noise.to(mask_BS.device).expand(shape)
        elif tuple(noise_BHA.shape) != shape:
            raise ZooError("the noise has the wrong shape", got=tuple(noise_BHA.shape), expected=shape)

        def velocity(x_BHA: Tensor, time_B: Tensor) -> Tensor:
            return self.action_head(x_BHA, time_B, state, context, mask_BS, state_mask_BT)

        chunk_BHA = euler_integrate(
            velocity, noise_BHA.float(), self.config.num_inference_steps, self.guide(rtc)
        )
        limit = self.config.clip_value
        return chunk_BHA.clamp(-limit, limit) if limit and self.config.bounded_actions else chunk_BHA

    # Optimisation.

    def get_optim_params(self) -> list[dict[str, Any]]:
        """Four groups: head and PaliGemma, each with and without weight decay.

        The head comes first, since LeRobot logs the first group's learning rate. Biases, norms, embeddings
        and modulation tables are not decayed. Adapters carry `vlm` in their names and train at its rate.
        """
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                plain = parameter.ndim < 2 or "embed" in name or "position" in name or "_table" in name
                groups.setdefault(("vlm." in name, plain), []).append(parameter)
        config = self.config
        return [
            {
                "params": parameters,
                "lr": config.optimizer_lr * (config.vlm_lr_scale if vlm else 1.0),
                "weight_decay": 0.0 if plain else config.optimizer_weight_decay,
            }
            for (vlm, plain), parameters in sorted(groups.items(), key=lambda item: item[0])
        ]

    def _get_default_peft_targets(self) -> dict[str, Any]:
        """Attention of the language model gets adapters; what was trained from scratch is trained in full."""
        return {
            "target_modules": r".*vlm\.language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj",
            "modules_to_save": [name for name in FROM_SCRATCH if self._parameters_of(name)],
        }

    def _validate_peft_config(self, peft_config: Any) -> None:
        super()._validate_peft_config(peft_config)
        if self.config.vlm_grad_scale == 0:
            raise ZooError(
                "nothing would train the adapters: no gradient reaches the PaliGemma that they are in",
                got="--peft with vlm_grad_scale=0",
                expected="a scale above 0; frozen towers may stay frozen",
                do="pass --policy.vlm_grad_scale=1, or leave --peft out to train the head alone",
            )

    def _parameters_of(self, name: str) -> list[nn.Parameter]:
        part = getattr(self, name, None)
        return [] if part is None else list(part.parameters())


def zero_embedding(count: int, width: int) -> nn.Embedding:
    """A table of zeros to be trained."""
    table = nn.Embedding(count, width)
    nn.init.zeros_(table.weight)
    return table
