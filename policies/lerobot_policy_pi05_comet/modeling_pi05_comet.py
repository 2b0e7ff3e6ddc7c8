"""`pi05_comet`: pi0.5 with the numbers of openpi.

`configuration_pi05_comet` lists what differs from LeRobot's `pi05`.

    prefix  = PaliGemma(pictures, prompt with the state's integers)       once per observation
    subtask = text that PaliGemma writes behind it                         if asked for, see `subtasks`
    v       = expert(x_t, t | keys and values of the prefix)
    actions = Euler steps from noise (t = 1) to data (t = 0)

Legend: B batch, H chunk length, A real action dims, P padded action dims.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from lerobot.utils.constants import ACTION
from torch import Tensor

from lerobot_plugins.checkpoints import pi05_names
from lerobot_plugins.checkpoints.load_report import empty_parameters
from lerobot_plugins.nn import paligemma
from lerobot_plugins.nn.augmentation import augment_images
from lerobot_plugins.nn.flow_matching import flow_pair, sample_noise, sample_time, weighted_mean
from lerobot_plugins.nn.pi05 import PI05Network
from lerobot_plugins.nn.prefix_encoder import Prefix
from lerobot_plugins.policy.base import ZooPolicy
from lerobot_plugins.policy.batches import prompt_tokens
from lerobot_plugins.policy.control import make_queues
from lerobot_plugins.policy.loss_weights import LossWeights, row_weights
from lerobot_plugins.policy.losses import LossTerm
from lerobot_plugins.policy.noise import chunk_noise
from lerobot_plugins.policy.pi05_weights import PRETRAINED, Changes, load_pretrained, pretrained_source
from lerobot_plugins.policy.pictures import CameraPictures
from lerobot_plugins.policy.queues import ActionQueues
from lerobot_plugins.processing.subtask_table import training_subtasks
from lerobot_policy_pi05_comet.configuration_pi05_comet import VOCABULARIES, PI05CometConfig
from lerobot_policy_pi05_comet.subtasks import (
    HeldSubtasks,
    learn_subtasks,
    require_prompt_for,
    subtask_logs,
    write_subtasks,
)

logger = logging.getLogger(__name__)

INTERPOLATION = "bilinear"  # openpi resizes with PIL's bilinear filter


class PI05CometPolicy(ZooPolicy):
    """The policy type `pi05_comet`."""

    config_class = PI05CometConfig
    name = "pi05_comet"
    pretrained_sources = PRETRAINED
    tied_weights: ClassVar[Mapping[str, str]] = pi05_names.TIES
    # How the network of a variant differs from pi0.5's weights.
    changes = Changes()
    # Classes that FSDP wraps one by one.
    _no_split_modules: ClassVar = ["SiglipEncoderLayer", "GemmaDecoderLayer", "ExpertLayer"]

    def __init__(
        self,
        config: PI05CometConfig,
        dataset_stats: dict | None = None,
        dataset_meta: Any = None,
        load_backbone: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, dataset_stats, dataset_meta, load_backbone)
        self.subtasks = HeldSubtasks(config.subtask_refresh)
        if config.subtask_prediction and dataset_meta is not None:
            training_subtasks(dataset_meta)  # now: whatever is wrong with them costs less before the network
        self.loss_weights = LossWeights.of_run(config.loss_weights_path, dataset_meta)
        source = pretrained_source(config) if load_backbone else None
        if source is None:
            self.model = build_network(config)
        else:
            with empty_parameters():
                self.model = build_network(config)
        self.extend()
        self.model.encoder.gradient_checkpointing = config.gradient_checkpointing
        self.model.expert.gradient_checkpointing = config.gradient_checkpointing
        self.model.encoder.freeze(
            vision_tower=config.freeze_vision_tower,
            projector=config.freeze_language_model,
            language_model=config.freeze_language_model,
            embeddings=config.freeze_language_model,
        )
        self._freeze_the_unread()
        if source is not None:
            load_pretrained(self, source, self.changes)
        elif load_backbone:
            logger.warning("%s (%s) starts from random weights", self.name, config.paligemma_variant)
        self.settle_parameters()
        assert config.camera_order is not None, "validate_features resolved it"
        if config.compile_model:
            self.model.compile_step(config.compile_mode)
        self.pictures = CameraPictures(
            config.camera_order,
            self.model.encoder.image_size,
            config.image_resize,
            INTERPOLATION,
            allow_missing=config.allow_missing_cameras,
        )

    def extend(self) -> None:
        """What a variant adds to the network, with its initial weights; nothing here."""

    def _freeze_the_unread(self) -> None:
        """The last prefix layer gives keys and values only: what comes after them never gets a gradient.

        A subtask is read off that layer, so then it trains.
        """
        if self.config.subtask_prediction:
            if self.config.freeze_language_model:
                logger.warning(
                    "PaliGemma is frozen: its subtask loss is measured, but nothing learns to write them"
                )
            return
        last = self.model.encoder.language_model.layers[-1]
        unread = (last.self_attn.q_proj, last.self_attn.o_proj, last.mlp, last.post_attention_layernorm)
        for part in (*unread, self.model.encoder.language_model.norm):
            part.requires_grad_(False)

    def make_queues(self) -> ActionQueues:
        """The control mode's queues."""
        config = self.config
        return make_queues(
            config.control_mode,
            interval=config.replan_interval,
            size=config.ensemble_size,
            decay=config.ensemble_decay,
            newest_dims=config.averaged_around,
        )

    def action_validity(self, batch: dict[str, Any]) -> Tensor:
        """All actions where openpi's loss is asked for, else those inside their episode."""
        if self.config.loss_over_padded_actions:
            return torch.ones(batch[ACTION].shape[:2], dtype=torch.bool, device=batch[ACTION].device)
        return super().action_validity(batch)

    @classmethod
    def weight_name(cls, stored: str) -> str | None:
        """Also the names of LeRobot's `pi05` and of openpi's PyTorch files."""
        return pi05_names.rename(stored)

    # Observation.

    @property
    def turned_camera(self) -> str | None:
        """The camera whose training pictures are cropped and turned."""
        return self.config.camera_order[0]

    def views(self, batch: dict[str, Any], rng: np.random.Generator | None) -> dict[str, Tensor]:
        """Camera name -> pictures as the vision tower sees them; `rng` augments them."""
        pictures = self.pictures(batch, self.training)
        if rng is None:
            return pictures
        return {
            name: augment_images(image, rng, geometric=name == self.turned_camera)
            for name, image in pictures.items()
        }

    def embed(self, batch: dict[str, Any], rng: np.random.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Embedded pictures and prompt (B, S, D) and their mask; `rng` augments the pictures."""
        encoder = self.model.encoder
        views = list(self.views(batch, rng).values())
        pictures = encoder.embed_images(views, [None] * len(views))
        return encoder.with_prompt(*pictures, *prompt_tokens(batch))

    def encode(self, batch: dict[str, Any], rng: np.random.Generator | None = None) -> Prefix:
        """Keys and values of pictures and prompt; `rng` augments the pictures."""
        return self.model.encoder.encode(*self.embed(batch, rng), keys_values=True, hidden=False)

    # Training.

    def loss_terms(
        self, batch: dict[str, Any], rng: np.random.Generator
    ) -> tuple[list[LossTerm], dict[str, Tensor]]:
        """Squared velocity errors over the dims that count, (B, H, A) or (B, H, P); rows may have weights.

        With subtasks also the cross-entropies of their tokens (B, L - 1); velocities follow the true ones.
        """
        width = self.config.action_width
        action_BHP = F.pad(batch[ACTION].float(), (0, self.config.max_action_dim - width))
        noise_BHP = sample_noise(rng, action_BHP.shape).to(action_BHP.device)
        time_B = sample_time(rng, (action_BHP.shape[0],)).to(action_BHP.device)
        augment = self.training and self.config.image_augmentation
        weights = self.loss_weights if self.training else None
        terms: list[LossTerm] = []
        logs: dict[str, Tensor] = {}
        if self.config.subtask_prediction:
            seen = self.embed(batch, rng if augment else None)
            errors, prefix = learn_subtasks(self.model.encoder, batch, *seen)
            weight = errors.real_BL * row_weights(weights, batch, errors.error_BL)
            terms.append(LossTerm(errors.error_BL, weight, self.config.subtask_loss_weight))
            logs |= subtask_logs(errors)
        else:
            prefix = self.encode(batch, rng if augment else None)
        error_BHP = self.velocity_errors(prefix, action_BHP, noise_BHP, time_B)
        counts_BH1 = self.action_validity(batch)[..., None]
        parts = {
            "loss_over_real_dims": error_BHP[..., :width],
            "loss_over_padded_dims": error_BHP[..., width:],
        }
        logs |= {
            name: weighted_mean(part.detach(), counts_BH1, keep_batch=False)
            for name, part in parts.items()
            if part.shape[-1]
        }
        error = error_BHP if self.config.loss_over_padded_dims else error_BHP[..., :width]
        terms.append(LossTerm(error, row_weights(weights, batch, error), per_action=True))
        return terms, logs

    def velocity_errors(
        self, prefix: Prefix, action_BHP: Tensor, noise_BHP: Tensor, time_B: Tensor
    ) -> Tensor:
        """Squared errors (B, H, P) of the predicted velocity for given noise and times, float32."""
        x_BHP, target_BHP = flow_pair(action_BHP, noise_BHP, time_B)
        context = self.model.context(prefix, action_BHP.shape[1], self.config.vlm_grad_scale)
        velocity_BHP = self.model.velocity(x_BHP, self.model.modulations(time_B), context)
        return (velocity_BHP - target_BHP).square()

    # Inference.

    def sample_chunk(self, batch: dict[str, Any], noise_BHA: Tensor | None, **rtc: Any) -> Tensor:
        """Actions (B, H, A), normalised; the noise may have all P dims or the A real ones."""
        require_prompt_for(self.config, batch)
        prefix = self.encode(batch)
        if self.config.subtask_prediction:
            given = self.subtasks.recall(len(prefix.mask_BS))
            texts, prefix = write_subtasks(
                self.model.encoder, prefix, batch, self.config.subtask_max_len, given
            )
            self.subtasks.keep(texts)
        mask_BS = prefix.mask_BS
        noise_BHP = self.chunk_noise([self.chunks_since_reset] * len(mask_BS), noise_BHA, mask_BS.device)
        chunk_BHP = self.model.sample(prefix, noise_BHP, self.config.num_inference_steps, self.guide(rtc))
        return chunk_BHP[..., : self.config.action_width]

    def next_chunks(
        self, batch: dict[str, Any], rows: list[int], noise: Tensor | None
    ) -> tuple[Tensor, list[int]]:
        """Chunks of some rows, each after its own subtask."""
        if not self.config.subtask_prediction:
            return super().next_chunks(batch, rows, noise)
        with self.subtasks.rows(rows):
            return super().next_chunks(batch, rows, noise)

    def reset(self) -> None:
        """Forget everything about the current episodes."""
        super().reset()
        self.subtasks.clear()

    def chunk_noise(self, counts: list[int], given: Tensor | None, device: torch.device) -> Tensor:
        """Noise (B, H, P) of chunks; see `policy.noise`."""
        config = self.config
        shape = (config.chunk_size, config.max_action_dim)
        return chunk_noise(config.eval_seed, counts, shape, config.action_width, given, device)

    # Adapters.

    def _get_default_peft_targets(self) -> dict[str, Any]:
        """Attention and MLP of both Gemmas get adapters, as in openpi; projections are trained in full."""
        pattern = (
            r".*\.(language_model|gemma_expert\.model)\.layers\.\d+\."
            r"(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
        )
        count = sum(re.fullmatch(pattern, name) is not None for name, _ in self.named_modules())
        logger.info("adapters go into %d linear layers", count)
        return {
            "target_modules": pattern,
            "modules_to_save": [f"model.{name}" for name in pi05_names.PROJECTIONS],
        }


def build_network(config: PI05CometConfig) -> PI05Network:
    """The network of a configuration, without pretrained weights."""
    geometry = paligemma.geometry_of(config.paligemma_variant, paligemma.SCRATCH)
    geometry["text_config"]["vocab_size"] = VOCABULARIES[config.paligemma_variant]
    model = paligemma.build_paligemma(geometry)
    return PI05Network(model, config.action_expert_variant, config.max_action_dim)
