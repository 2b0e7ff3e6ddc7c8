"""`waypoint_vla`: a planner writes waypoints, an action expert moves from one to the next.

    plan    = PaliGemma(pictures, prompt with task and state)            tokens: states and durations
    v       = expert(x_t, t, start, end, duration | keys and values of PaliGemma(pictures, task))
    actions = Euler steps from noise (t = 1) to data (t = 0), of which the first `duration` count

Pictures are encoded once for both. `configuration_waypoint_vla` lists what differs from pi0.5.

Legend: B batch, H chunk length, A real action dims, P padded action dims, C candidate segments, K planned
state dims, M waypoints, S state dims.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from lerobot.utils.constants import ACTION, OBS_STATE
from torch import Tensor

from lerobot_plugins.checkpoints import pi05_names
from lerobot_plugins.checkpoints.load_report import empty_parameters
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.nn.augmentation import Recipe, augment_images, centre_crop
from lerobot_plugins.nn.flow_matching import euler_times, flow_pair, sample_noise, sample_time, weighted_mean
from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder
from lerobot_plugins.policy.base import ZooPolicy
from lerobot_plugins.policy.batches import prompt_tokens, select_rows
from lerobot_plugins.policy.losses import LossTerm
from lerobot_plugins.policy.noise import chunk_noise
from lerobot_plugins.policy.pi05_weights import PRETRAINED
from lerobot_plugins.policy.pictures import CameraPictures
from lerobot_plugins.policy.randomness import PLANNING, keyed_generator
from lerobot_policy_waypoint_vla.configuration_waypoint_vla import WaypointVLAConfig
from lerobot_policy_waypoint_vla.decoding import Grammar, Plans
from lerobot_policy_waypoint_vla.network import Goal
from lerobot_policy_waypoint_vla.plan_step import (
    EXPERT_MASK,
    EXPERT_TOKENS,
    HEADER_TOKENS,
    PLAN_TARGETS,
    PLAN_TOKENS,
    SEGMENT_END,
)
from lerobot_policy_waypoint_vla.planner import plan_errors, write_plans
from lerobot_policy_waypoint_vla.plans import PlanFollower, Segment, stack
from lerobot_policy_waypoint_vla.target_step import SEGMENT_DURATION, targets_of
from lerobot_policy_waypoint_vla.weights import (
    NEW,
    build_network,
    freeze,
    load_initial,
    own_name,
    pretrained_source,
)

logger = logging.getLogger(__name__)

INTERPOLATION = "bilinear"  # PIL's, as the published pictures were resized

# The published colour changes; the crop is the configuration's.
COLOURS = Recipe(max_degrees=0.0, brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=0.05)


class WaypointVLAPolicy(ZooPolicy):
    """The policy type `waypoint_vla`."""

    config_class = WaypointVLAConfig
    name = "waypoint_vla"
    # Without a say: the planner's own rows beside a table that trains, an expert that does not act.
    frozen_at_zero: ClassVar[Sequence[str]] = ("token_rows.weight", "norm.dense.weight")
    pretrained_sources = PRETRAINED
    tied_weights: ClassVar[Mapping[str, str]] = pi05_names.TIES
    network_fields: ClassVar[Sequence[str]] = (
        *ZooPolicy.network_fields,
        *("token_layout", "max_state_dim", "duration_mode", "separate_planner"),
    )
    # Classes that FSDP wraps one by one.
    _no_split_modules: ClassVar = ["SiglipEncoderLayer", "GemmaDecoderLayer", "ExpertLayer"]

    def __init__(
        self,
        config: WaypointVLAConfig,
        dataset_stats: dict | None = None,
        dataset_meta: Any = None,
        load_backbone: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, dataset_stats, dataset_meta, load_backbone)
        if dataset_meta is not None:
            targets_of(dataset_meta, config)  # now: whatever is wrong with them costs less before the network
        source = pretrained_source(config) if load_backbone else None
        if source is None:
            self.model = build_network(config)
        else:
            with empty_parameters():
                self.model = build_network(config)
        for part in self._transformers():
            part.gradient_checkpointing = config.gradient_checkpointing
        freeze(self.model, config)
        if source is not None:
            load_initial(self, config, source)
        elif load_backbone:
            logger.warning("waypoint_vla (%s) starts from random weights", config.paligemma_variant)
        self.settle_parameters()
        if config.compile_model:
            self.model.compile_step(config.compile_mode)
        self.layout = config.layout
        self.grammar = Grammar(
            self.layout, config.num_waypoints, config.max_duration, config.allow_terminal_first
        )
        self.followers: dict[int, PlanFollower] = {}
        assert config.camera_order is not None, "validate_features resolved it"
        self.pictures = CameraPictures(
            config.camera_order,
            self.model.encoder.image_size,
            config.image_resize,
            INTERPOLATION,
            allow_missing=config.allow_missing_cameras,
        )
        side = self.model.encoder.image_size
        self.recipe = replace(COLOURS, crop=round(side * config.image_crop_area**0.5) / side)

    def _transformers(self) -> list[Any]:
        parts = [self.model.encoder, self.model.expert, self.model.planner]
        return [part for part in parts if part is not None]

    @classmethod
    def weight_name(cls, stored: str) -> str | None:
        """Also the names of LeRobot's `pi05`, of openpi's PyTorch files and of published waypoint files."""
        return own_name(stored)

    def supports_rtc(self) -> bool:
        """Real-time chunking blends chunks of one length; segments end where their waypoint is reached."""
        return False

    def reset(self) -> None:
        super().reset()
        self.followers = {}

    # Observation.

    def see(self, batch: dict[str, Any], rng: np.random.Generator | None = None) -> list[Tensor]:
        """Pictures (B, C, h, w) of all cameras: augmented with `rng`, else their centre crop."""
        pictures = list(self.pictures(batch, self.training).values())
        if not self.config.image_augmentation:
            return pictures
        if rng is not None:
            return [augment_images(p, rng, geometric=True, recipe=self.recipe) for p in pictures]
        return [centre_crop(picture, self.recipe) for picture in pictures]

    def embed(self, pictures: list[Tensor], encoder: PrefixEncoder) -> tuple[Tensor, Tensor]:
        """Tokens of pictures and their mask."""
        return encoder.embed_images(pictures, [None] * len(pictures))

    def embed_for_both(self, pictures: list[Tensor]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Tokens of pictures for the planner and for the expert: the same where they share a PaliGemma."""
        for_expert = self.embed(pictures, self.model.encoder)
        planner = self.model.planner
        return (for_expert if planner is None else self.embed(pictures, planner)), for_expert

    def expert_prefix(self, batch: dict[str, Any], pictures: tuple[Tensor, Tensor]) -> Prefix:
        """Keys and values of pictures and task."""
        encoder = self.model.encoder
        tokens = encoder.with_prompt(*pictures, batch[EXPERT_TOKENS], batch[EXPERT_MASK])
        return encoder.encode(*tokens, keys_values=True, hidden=False)

    # Training.

    def loss_terms(
        self, batch: dict[str, Any], rng: np.random.Generator
    ) -> tuple[list[LossTerm], dict[str, Tensor]]:
        """Cross-entropies of the plan's tokens (B, L - 1) and squared velocity errors (B, H, A or P)."""
        pictures = self.see(batch, rng if self.training else None)
        mode = self.config.loss_mode
        terms: list[LossTerm] = []
        logs: dict[str, Tensor] = {}
        if mode == "joint":
            for_planner, for_expert = self.embed_for_both(pictures)
        else:
            encoder = self.model.planner_encoder if mode == "vlm" else self.model.encoder
            for_planner = for_expert = self.embed(pictures, encoder)
        if mode != "ae":
            terms.append(self._planner_term(batch, for_planner, logs))
        if mode != "vlm":
            terms.append(self._expert_term(batch, for_expert, rng, logs))
        return terms, logs

    def _planner_term(
        self, batch: dict[str, Any], pictures: tuple[Tensor, Tensor], logs: dict[str, Tensor]
    ) -> LossTerm:
        if PLAN_TOKENS not in batch:
            raise ZooError(
                "the batch holds no plan to learn",
                got="a batch that no training dataset's waypoints were looked up for",
                expected=PLAN_TOKENS,
                do="train with lerobot-train on a LeRobotDataset",
            )
        errors = plan_errors(
            self.model,
            pictures,
            prompt_tokens(batch),
            batch[HEADER_TOKENS],
            batch[PLAN_TOKENS],
            batch[PLAN_TARGETS],
            self.layout,
            self.config.gripper_loss_weight,
            self.config.ce_scope == "family",
        )
        logs["loss_planner"] = weighted_mean(errors.error_BL.detach(), errors.weight_BL, keep_batch=False)
        for name, right in errors.right.items():
            logs[f"accuracy_{name}"] = right.float().sum() / max(len(right), 1)
        return LossTerm(errors.error_BL, errors.weight_BL)

    def _expert_term(
        self,
        batch: dict[str, Any],
        pictures: tuple[Tensor, Tensor],
        rng: np.random.Generator,
        logs: dict[str, Tensor],
    ) -> LossTerm:
        config = self.config
        width, horizon = config.action_width, config.chunk_size
        goal = self._training_goal(batch, rng)
        step_H = torch.arange(horizon, device=goal.duration_B.device)
        inside_BH1 = (step_H < goal.duration_B[:, None])[..., None]
        # Behind the segment's end the data is zero, as it is in padded dims.
        action_BHP = F.pad(batch[ACTION].float() * inside_BH1, (0, config.max_action_dim - width))
        noise_BHP = sample_noise(rng, action_BHP.shape).to(action_BHP.device)
        time_B = sample_time(rng, (len(action_BHP),)).to(action_BHP.device)
        x_BHP, target_BHP = flow_pair(action_BHP, noise_BHP, time_B)
        scale = config.expert_gradient_scale
        # Without a gradient through it, nothing of the prefix has to be kept.
        with torch.set_grad_enabled(torch.is_grad_enabled() and scale > 0):
            prefix = self.expert_prefix(batch, pictures)
        context = self.model.goal_context(prefix, goal, horizon, scale)
        modulations = self.model.modulations(time_B, goal.duration_B)
        error_BHP = (self.model.velocity(x_BHP, modulations, context) - target_BHP).square()
        if not config.loss_over_padded_dims:
            error_BHP = error_BHP[..., :width]
        weight_BH1 = inside_BH1.float()
        logs["loss_expert"] = weighted_mean(error_BHP.detach(), weight_BH1, keep_batch=False)
        return LossTerm(error_BHP, weight_BH1, config.expert_loss_weight, per_action=True)

    def _training_goal(self, batch: dict[str, Any], rng: np.random.Generator) -> Goal:
        """One of each row's candidate segments; a row without one gets duration 0, which counts nowhere."""
        duration_BC = batch[SEGMENT_DURATION]
        device = duration_BC.device
        draw_BC = torch.from_numpy(rng.random(duration_BC.shape, dtype=np.float32)).to(device)
        chosen_B1 = draw_BC.masked_fill(duration_BC == 0, -1.0).argmax(dim=1, keepdim=True)
        end_BCK = batch[SEGMENT_END]
        end_BK = end_BCK.gather(1, chosen_B1[..., None].expand(-1, -1, end_BCK.shape[2]))[:, 0]
        states = [batch[OBS_STATE].float(), end_BK.float()]
        if self.training and self.config.proprio_noise_std > 0:
            numbers = self.layout.continuous
            for index, state_BK in enumerate(states):
                noise = sample_noise(rng, state_BK[:, :numbers].shape).to(device)
                moved = (state_BK[:, :numbers] + self.config.proprio_noise_std * noise).clamp(-1, 1)
                states[index] = torch.cat([moved, state_BK[:, numbers:]], dim=1)
        start_BK, end_BK = (F.pad(s, (0, self.config.max_state_dim - s.shape[1])) for s in states)
        return Goal(start_BK, end_BK, duration_BC.gather(1, chosen_B1)[:, 0])

    # Inference.

    def plan(self, batch: dict[str, Any], pictures: tuple[Tensor, Tensor], counts: Sequence[int]) -> Plans:
        """Plans for a batch of observations.

        Args:
            batch: Preprocessed observation.
            pictures: Their tokens and mask.
            counts: Per row, how many chunks its episode had; keys the draws where tokens are sampled.
        """
        config = self.config
        rngs = [keyed_generator(config.eval_seed, PLANNING, count) for count in counts]
        return write_plans(
            self.model,
            pictures,
            prompt_tokens(batch),
            batch[HEADER_TOKENS],
            self.grammar,
            config.planner_temperature,
            rngs,
        )

    def act(
        self,
        batch: dict[str, Any],
        pictures: tuple[Tensor, Tensor],
        segments: list[Segment],
        noise_BHP: Tensor,
    ) -> Tensor:
        """Actions (B, H, A), normalised, of which the first `duration` lead along each segment."""
        model, config = self.model, self.config
        prefix = self.expert_prefix(batch, pictures)
        device = prefix.mask_BS.device
        goal = Goal(*stack(segments, config.max_state_dim, device))
        context = model.goal_context(prefix, goal, config.chunk_size, in_place=model.writes_in_place)
        steps = model.step_modulations(euler_times(config.num_inference_steps), goal)
        held = None
        if config.hold_padding:
            held = torch.arange(config.chunk_size, device=device) >= goal.duration_B[:, None]
            held = held[..., None].expand_as(noise_BHP).clone()
            if not config.loss_over_padded_dims:
                held[..., config.action_width :] = True
        chunk_BHP = model.denoise(context, steps, noise_BHP, held_BHA=held)
        return chunk_BHP[..., : config.action_width]

    def sample_chunk(self, batch: dict[str, Any], noise_BHA: Tensor | None, **rtc: Any) -> Tensor:
        """A plan and the chunk of its first segment, (B, H, A); only its first `duration` actions count."""
        rows = len(batch[OBS_STATE])
        followers = [self._new_follower() for _ in range(rows)]
        counts = [self.chunks_since_reset] * rows
        return self._advance(batch, followers, counts, noise_BHA)[0]

    def next_chunks(
        self, batch: dict[str, Any], rows: list[int], noise: Tensor | None
    ) -> tuple[Tensor, list[int]]:
        """Chunks of the next segments of some rows, which plan anew where their plan is over."""
        self.eval()
        followers = [self.followers.setdefault(row, self._new_follower()) for row in rows]
        counts = [follower.segments for follower in followers]
        with self.computing():
            chunk_RHA, segments = self._advance(batch, followers, counts, noise, rows)
        lengths = [min(segment.duration, self.config.n_action_steps) for segment in segments]
        trace.publish_chunk(chunk_RHA, rows, [segment.duration for segment in segments])
        return chunk_RHA, lengths

    def _new_follower(self) -> PlanFollower:
        config = self.config
        return PlanFollower(
            config.segments_per_plan, config.start_state == "planned", config.max_stalled_plans
        )

    def _advance(
        self,
        batch: dict[str, Any],
        followers: list[PlanFollower],
        counts: list[int],
        noise: Tensor | None,
        published_rows: list[int] | None = None,
    ) -> tuple[Tensor, list[Segment]]:
        """Plan where a plan is needed, then act: chunks (B, H, A) and their segments."""
        observed_BK = batch[OBS_STATE].float().cpu()
        for_planner, for_expert = self.embed_for_both(self.see(batch))
        planning = [row for row, follower in enumerate(followers) if follower.needs_plan()]
        if planning:
            part = select_rows(batch, planning, len(followers))
            pictures = tuple(tensor[planning] for tensor in for_planner)
            plans = self.plan(part, pictures, [counts[row] for row in planning])
            state_BMK, duration_BM = plans.state_BMK.cpu(), plans.duration_BM.cpu()
            for row, state_MK, duration_M in zip(planning, state_BMK, duration_BM, strict=True):
                followers[row].take(state_MK, duration_M, observed_BK[row])
            if published_rows is not None:
                self._publish(state_BMK, duration_BM, [published_rows[row] for row in planning])
        segments = [
            follower.next_segment(state_K) for follower, state_K in zip(followers, observed_BK, strict=True)
        ]
        shape = (self.config.chunk_size, self.config.max_action_dim)
        device = for_expert[0].device
        noise_BHP = chunk_noise(self.config.eval_seed, counts, shape, self.config.action_width, noise, device)
        return self.act(batch, for_expert, segments, noise_BHP).float(), segments

    def _publish(self, state_BMK: Tensor, duration_BM: Tensor, rows: list[int]) -> None:
        """Show plans to whoever watches."""
        if not trace.listening():
            return
        robot, width = self.config.robot, self.config.state_width
        plans = []
        for state_MK, duration_M in zip(state_BMK.numpy(), duration_BM.numpy(), strict=True):
            state_MS = np.full((len(state_MK), width), np.nan, np.float32)
            state_MS[:, list(robot.planned)] = state_MK
            rule = self.config.waypoint_rule
            plans.append(trace.Plan(state_MS, duration_M, robot.continuous, robot.grippers, rule))
        trace.publish_plan(plans, rows)

    # Adapters.

    def _get_default_peft_targets(self) -> dict[str, Any]:
        """Attention and MLP of all Gemmas get adapters; projections and plan tokens are trained in full."""
        pattern = (
            r".*\.(language_model|gemma_expert\.model)\.layers\.\d+\."
            r"(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
        )
        count = sum(re.fullmatch(pattern, name) is not None for name, _ in self.named_modules())
        logger.info("adapters go into %d linear layers", count)
        whole = (*pi05_names.PROJECTIONS, *NEW)
        present = [name for name in whole if getattr(self.model, name) is not None]
        return {"target_modules": pattern, "modules_to_save": [f"model.{name}" for name in present]}

    def _validate_peft_config(self, peft_config: Any) -> None:
        """Refuse adapters inside a PaliGemma that is to stay as it is."""
        if self.config.gradient_strategy == "freeze":
            raise ZooError(
                "gradient_strategy=freeze keeps PaliGemma as it is, and adapters would change it",
                got="--peft with gradient_strategy=freeze",
                expected="one of the two",
                do="pass --policy.gradient_strategy=stop to keep the expert's gradient out of PaliGemma",
            )
        super()._validate_peft_config(peft_config)
