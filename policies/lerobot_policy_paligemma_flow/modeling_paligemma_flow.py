"""`paligemma_flow`: PaliGemma encodes pictures and prompt once, a DiT head turns noise into actions.

    prefix  = encoder(pictures, prompt)                     once per observation
    context = LayerNorm(prefix)                             float32
    v       = head(x_t, t, state | keys and values of the context, computed once)
    actions = Euler steps from noise (t = 1) to data (t = 0)

In training the head sees `flow_repeats` draws of noise and time for one pass of the PaliGemma, which is
more than 95 % of the arithmetic.

Legend: B batch, V cameras, C channels, h w picture size, L prompt tokens, S prefix tokens, D their width,
K draws per observation, H chunk length, A action dims, P state dims.
"""

import logging
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
from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder
from lerobot_plugins.nn.resamplers import make_resampler
from lerobot_plugins.policy.base import ZooPolicy
from lerobot_plugins.policy.batches import prompt_tokens
from lerobot_plugins.policy.losses import LossTerm
from lerobot_plugins.policy.pictures import CameraPictures
from lerobot_policy_paligemma_flow.configuration_paligemma_flow import PaliGemmaFlowConfig
from lerobot_policy_paligemma_flow.head import FlowHead

logger = logging.getLogger(__name__)

# Parts that no pretrained PaliGemma has.
FROM_SCRATCH = ("action_head", "context_norm", "vision_resampler")
INTERPOLATION = "bicubic"  # as PaliGemma's own image processor


class PaliGemmaFlowPolicy(ZooPolicy):
    """The policy type `paligemma_flow`."""

    config_class = PaliGemmaFlowConfig
    name = "paligemma_flow"
    pretrained_sources = paligemma.PRETRAINED
    # Classes that FSDP wraps one by one.
    _no_split_modules: ClassVar = ["SiglipEncoderLayer", "GemmaDecoderLayer", "PaligemmaFlowBlock"]

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
        self.context_norm = nn.LayerNorm(self.vlm.width)
        width, depth, num_heads = config.head_geometry
        self.action_head = FlowHead(
            action_width=config.action_width,
            state_width=config.state_width if config.use_state_input else 0,
            chunk_size=config.chunk_size,
            context_width=self.vlm.width,
            width=width,
            depth=depth,
            num_heads=num_heads,
            mlp_ratio=config.head_mlp_ratio,
            dropout=config.head_dropout,
            min_period=config.time_min_period,
            max_period=config.time_max_period,
        )
        self.vision_resampler = build_resampler(config, self.vlm)
        self.settle_parameters()
        assert config.camera_order is not None, "validate_features resolved it"
        self.pictures = CameraPictures(
            config.camera_order,
            self.vlm.image_size,
            config.image_resize,
            INTERPOLATION,
            allow_missing=config.allow_missing_cameras,
        )

    # Observation.

    def encode(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Context (B, S, D) in float32 and its mask (B, S) for a batch of observations."""
        prefix = self._prefix(batch)
        hidden_BSD = prefix.hidden_BSD
        assert hidden_BSD is not None
        if self.training:
            warming_up = self.config.trained_steps < self.config.vlm_warmup_steps
            hidden_BSD = scale_gradient(hidden_BSD, 0.0 if warming_up else self.config.vlm_grad_scale)
        with no_autocast(hidden_BSD.device):
            return self.context_norm(hidden_BSD.float()), prefix.mask_BS

    def _prefix(self, batch: dict[str, Any]) -> Prefix:
        images = list(self.pictures(batch, self.training).values())
        return self.vlm(images, [None] * len(images), *prompt_tokens(batch), resampler=self.vision_resampler)

    def _state(self, batch: dict[str, Any]) -> Tensor | None:
        if not self.config.use_state_input:
            return None
        state = batch[OBS_STATE]
        return state[:, -1] if state.ndim == 3 else state

    # Training.

    def loss_terms(
        self, batch: dict[str, Any], rng: np.random.Generator
    ) -> tuple[list[LossTerm], dict[str, Tensor]]:
        """Squared velocity errors (B, K, H, A), and the flow loss at low and high times."""
        context_BSD, mask_BS = self.encode(batch)
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
        error_BKHA = self.velocity_errors(
            context_BSD, mask_BS, self._state(batch), action_BHA, noise_BKHA, time.to(action_BHA.device)
        )
        weights = self.config.action_dim_weights
        weight_A = torch.ones(width) if weights is None else torch.tensor(weights, dtype=torch.float32)
        term = LossTerm(error_BKHA, weight_A.to(action_BHA.device), per_action=True)
        return [term], self._logs(error_BKHA.detach(), time)

    def velocity_errors(
        self,
        context_BSD: Tensor,
        mask_BS: Tensor,
        state_BP: Tensor | None,
        action_BHA: Tensor,
        noise_BKHA: Tensor,
        time_BK: Tensor,
    ) -> Tensor:
        """Squared errors (B, K, H, A) of the predicted velocity for given noise and times, float32."""
        x_BKHA, target_BKHA = flow_pair(action_BHA[:, None], noise_BKHA, time_BK)
        velocity_RHA = self.action_head(
            x_BKHA.flatten(0, 1),
            time_BK.flatten(),
            state_BP,
            self.action_head.context_keys_values(context_BSD),
            mask_BS,
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
        context_BSD, mask_BS = self.encode(batch)
        context = self.action_head.context_keys_values(context_BSD)
        state_BP = self._state(batch)
        shape = (context_BSD.shape[0], self.config.chunk_size, self.config.action_width)
        if noise_BHA is None:
            noise = sample_noise(self.sampling_generator(), (1, *shape[1:]), self.config.noise_distribution)
            noise_BHA = noise.to(context_BSD.device).expand(shape)
        elif tuple(noise_BHA.shape) != shape:
            raise ZooError("the noise has the wrong shape", got=tuple(noise_BHA.shape), expected=shape)

        def velocity(x_BHA: Tensor, time_B: Tensor) -> Tensor:
            return self.action_head(x_BHA, time_B, state_BP, context, mask_BS)

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

    def _parameters_of(self, name: str) -> list[nn.Parameter]:
        part = getattr(self, name, None)
        return [] if part is None else list(part.parameters())


def build_encoder(config: PaliGemmaFlowConfig, load_backbone: bool) -> PrefixEncoder:
    """The PaliGemma of a policy: pretrained, from scratch, or empty for a checkpoint's weights.

    Fills in `config.vlm_config`, so that the checkpoint needs its base model only once.
    """
    source = config.init_from or paligemma.default_source(config.paligemma_variant)
    if config.vlm_config is None:
        config.vlm_config = paligemma.geometry_of(config.paligemma_variant, source, config.init_revision)
    if load_backbone and source != paligemma.SCRATCH:
        model = paligemma.load_paligemma(source, config.vlm_config, config.init_revision)
    else:
        if load_backbone:
            logger.warning("PaliGemma (%s) starts from random weights", config.paligemma_variant)
        model = paligemma.build_paligemma(config.vlm_config)
    encoder = PrefixEncoder(model)
    encoder.gradient_checkpointing = config.gradient_checkpointing
    projector = config.freeze_projector
    return encoder.freeze(
        vision_tower=config.freeze_vision_tower,
        projector=config.freeze_language_model if projector is None else projector,
        language_model=config.freeze_language_model,
        embeddings=not config.train_embeddings and source != paligemma.SCRATCH,
    )


def build_resampler(config: PaliGemmaFlowConfig, encoder: PrefixEncoder) -> nn.Module | None:
    """The resampler of a policy, for its PaliGemma's geometry."""
    if config.vision_resampler_type == "perceiver" and config.freeze_language_model:
        logger.warning(
            "the language model is frozen and will see tokens of the perceiver, which it was never trained "
            "on; vision_resampler_type=mlp or =pool stays nearer to what it knows"
        )
    return make_resampler(
        config.vision_resampler_type,
        vision_width=encoder.vision_width,
        width=encoder.width,
        tokens_per_picture=encoder.tokens_per_image,
        num_tokens=config.resampler_num_tokens,
        depth=config.resampler_depth,
        hidden=config.resampler_hidden_dim,
    )
