"""`pi05_comet_vlm2`: pi0.5 whose picture tokens know where they lie and what was seen before.

    F      = vision(pictures)                            as `pi05_comet`
    H      = perception(F, geometry)                     of the spatial cameras, in float32
    M      = memory(H, prompt)
    prefix = PaliGemma(M and the other cameras, prompt)    with `hamlet` and `memory_vla`: H, ..., prompt, M
    v      = expert(...)                                 as `pi05_comet`

In training and in losses the memory is built from the batch's history; when acting from what the episode has
shown so far, with one write per prediction. `vlm2/` has a module per file.

Legend: B batch, K moments, V spatial cameras, N tokens per picture, M = V*N, X joining tokens, L prompt
tokens, D width.
"""

import logging
import re
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.augmentation import augment_images
from lerobot_plugins.nn.precision import autocast, float32_island, no_autocast
from lerobot_plugins.policy.batches import batch_size, prompt_tokens
from lerobot_plugins.policy.losses import LossTerm
from lerobot_plugins.policy.pi05_weights import Changes
from lerobot_policy_pi05_comet.configuration_pi05_comet_vlm2 import PI05CometVLM2Config, require_history
from lerobot_policy_pi05_comet.modeling_pi05_comet import PI05CometPolicy
from lerobot_policy_pi05_comet.vlm2.geometry.registry import make_encoder
from lerobot_policy_pi05_comet.vlm2.memories import make_memory
from lerobot_policy_pi05_comet.vlm2.observation import SpatialInput, moments_of, padded_moments
from lerobot_policy_pi05_comet.vlm2.perception import Perception
from lerobot_policy_pi05_comet.vlm2.state import MemoryState
from lerobot_policy_pi05_comet.vlm2.streaming import StreamingMemory
from lerobot_policy_pi05_comet.vlm2.zero_gate import ZeroGate

logger = logging.getLogger(__name__)

# Adapters put names of their own before and between.
_NEW = re.compile(r"(^|\.)(perception|episode_memory)\.")


class PI05CometVLM2Policy(PI05CometPolicy):
    """The policy type `pi05_comet_vlm2`."""

    config_class = PI05CometVLM2Config
    name = "pi05_comet_vlm2"
    changes = Changes(new=("perception.", "episode_memory."))
    network_fields: ClassVar = (
        *PI05CometPolicy.network_fields,
        *("residual_mode", "geometry_encoder", "geometry_dim", "view_dim"),
        *("memory", "memory_hidden"),
    )

    def __init__(
        self,
        config: PI05CometVLM2Config,
        dataset_stats: dict | None = None,
        dataset_meta: Any = None,
        load_backbone: bool = True,
        **kwargs: Any,
    ) -> None:
        if dataset_meta is not None:
            require_history(config, dataset_meta)
        super().__init__(config, dataset_stats, dataset_meta, load_backbone, **kwargs)
        assert config.memory_stride is not None
        self.spatial = SpatialInput(config)
        self.streaming = StreamingMemory(config.memory_stride)
        if dataset_meta is not None:
            self._say_what_history_costs()

    def extend(self) -> None:
        """Perception, memory, and the geometry encoder, which is none of the policy's weights."""
        config, width = self.config, self.model.encoder.width
        if width % config.memory_heads:
            raise ZooError("memory_heads must divide the width", got=config.memory_heads, expected=width)
        self.geometry = make_encoder(config)
        self.perception: Perception | None = None
        if self.geometry is not None:
            self.perception = Perception(
                width,
                self.geometry.widths,
                geometry_width=config.geometry_dim,
                view_width=config.view_dim,
                hidden=config.memory_hidden,
                heads=config.memory_heads,
                residual_mode=config.residual_mode,
            )
        # PEFT finds modules by how their names end: nothing inside may end like this one.
        self.episode_memory = make_memory(config, width)
        for part in (self.perception, self.episode_memory):
            for layer in part.modules() if part is not None else ():
                float32_island(layer)

    @property
    def turned_camera(self) -> str | None:
        """The camera whose training pictures may be cropped and turned: none where 3-D belongs to them."""
        return super().turned_camera if self.geometry is None else None

    def _say_what_history_costs(self) -> None:
        config = self.config
        cameras = len(config.camera_order) + len(config.depth_features or {})
        if config.observation_delta_indices is not None:
            logger.info(
                "history: %d moments, %d control steps apart; a sample decodes at least %d pictures "
                "instead of %d, and the vision tower sees %d instead of %d",
                *(config.memory_frames, config.memory_stride, cameras * config.memory_frames, cameras),
                len(config.camera_order) + (config.memory_frames - 1) * len(config.spatial_cameras),
                len(config.camera_order),
            )

    # Observation.

    def embed(self, batch: dict[str, Any], rng: np.random.Generator | None = None) -> tuple[Tensor, Tensor]:
        """As `pi05_comet`, with perception and memory between the vision tower and the language model."""
        encoder = self.model.encoder
        views = self.views(batch, rng)
        tokens_BSD, mask_BS = encoder.embed_images(list(views.values()), [None] * len(views))
        tokens_BSD, joining_BXD = self._enriched(batch, list(views), tokens_BSD, rng)
        x_BSD, mask_BS = encoder.with_prompt(tokens_BSD, mask_BS, *prompt_tokens(batch))
        if joining_BXD is not None:
            x_BSD = torch.cat([x_BSD, joining_BXD.to(x_BSD.dtype)], dim=1)
            mask_BS = torch.cat([mask_BS, mask_BS.new_ones(joining_BXD.shape[:2])], dim=1)
        return x_BSD, mask_BS

    def _enriched(
        self, batch: dict[str, Any], cameras: list[str], tokens_BSD: Tensor, rng: np.random.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Tokens of all cameras, and those of the memory that join them."""
        absent = [name for name in self.config.spatial_cameras if name not in cameras]
        if absent:
            raise ZooError(
                "a spatial camera is missing: its memory cannot go on without it",
                got=f"no {', '.join(absent)}",
                expected=", ".join(self.config.spatial_cameras),
            )
        tokens_BVND = tokens_BSD.unflatten(1, (len(cameras), -1))
        place = [cameras.index(name) for name in self.config.spatial_cameras]
        dtype = tokens_BSD.dtype
        seen_BVND = tokens_BVND[:, place].float()
        with no_autocast(tokens_BSD.device):
            seen_BMD = self._perceived(batch, slice(-1, None), seen_BVND[:, None])[:, 0]
            seen_BMD, joining_BXD = self._remembered(batch, seen_BMD, rng)
        new_BVND = seen_BMD.to(dtype).unflatten(1, (len(place), -1))
        chosen = torch.tensor(place, device=tokens_BSD.device)
        return tokens_BVND.index_copy(1, chosen, new_BVND).flatten(1, 2), joining_BXD

    def _perceived(self, batch: dict[str, Any], moments: slice, tokens_BKVND: Tensor) -> Tensor:
        """Tokens (B, K, V*N, D) of some moments with their place in space."""
        if self.geometry is None or self.perception is None:
            return tokens_BKVND.flatten(2, 3)
        with torch.no_grad():
            geometry = self.geometry(*self.spatial(batch, moments))
        seen = self.perception(tokens_BKVND.flatten(0, 2), geometry)
        return seen.unflatten(0, tokens_BKVND.shape[:3]).flatten(2, 3)

    def _remembered(self, batch: dict[str, Any], seen_BMD: Tensor, rng: Any) -> tuple[Tensor, Tensor | None]:
        if self.episode_memory is None:
            return seen_BMD, None
        ids_BL, text_mask_BL = prompt_tokens(batch)
        embedded = self.model.encoder.language_model.embed_tokens(ids_BL)
        text_BLD, text_mask_BL = embedded.float(), text_mask_BL.bool()
        if self._moments(batch) > 1:
            state = self._from_history(batch, seen_BMD, text_BLD, text_mask_BL, rng)
            recalled = self.episode_memory.read(state, seen_BMD, text_BLD, text_mask_BL)
            return recalled.tokens_BND, recalled.joining_BXD

        def empty(rows: int) -> MemoryState:
            assert self.episode_memory is not None
            return self.episode_memory.empty(seen_BMD[:1].expand(rows, -1, -1))

        state, due_B = self.streaming.recall(len(seen_BMD), empty)
        recalled = self.episode_memory.read(state, seen_BMD, text_BLD, text_mask_BL)
        state = self.episode_memory.write(state, seen_BMD, recalled.found, due_B)
        self.streaming.keep(state.map(Tensor.detach), due_B)
        return recalled.tokens_BND, recalled.joining_BXD

    def _from_history(
        self, batch: dict[str, Any], seen_BMD: Tensor, text_BLD: Tensor, text_mask_BL: Tensor, rng: Any
    ) -> MemoryState:
        """The memory after the earlier moments of the batch; those before the episode's start leave none."""
        assert self.episode_memory is not None
        moments = self._moments(batch)
        padded_BK = padded_moments(batch, self.config.spatial_cameras[0], moments, len(seen_BMD))
        # The last moments pass gradients on, the current one is the first of them.
        first_trained = max(moments - self.config.memory_gradient_frames, 0)
        spans = [slice(0, first_trained), slice(first_trained, moments - 1)]
        history: list[Tensor] = []
        for span, trained in zip(spans, (False, True), strict=True):
            if span.start < span.stop:
                with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
                    history.append(self._seen(batch, span, rng))
        state = self.episode_memory.empty(seen_BMD, writes=moments - 1)
        for moment, past_BMD in enumerate(torch.cat(history, dim=1).unbind(1)):
            state = self.episode_memory.pass_over(
                state, past_BMD, text_BLD, text_mask_BL, ~padded_BK[:, moment]
            )
        return state

    def _seen(self, batch: dict[str, Any], moments: slice, rng: Any) -> Tensor:
        """Perceived tokens (B, K, V*N, D) of some earlier moments, float32."""
        cameras = self.config.spatial_cameras
        pictures = []
        for index in range(moments.start, moments.stop):
            past = {name: moments_of(batch[name], 3)[:, index] for name in cameras}
            views = self.pictures.resized(past)
            if rng is not None:
                views = {
                    name: augment_images(image, rng, geometric=name == self.turned_camera)
                    for name, image in views.items()
                }
            pictures += list(views.values())
        with autocast(pictures[0].device, self.compute_dtype):
            tokens, _ = self.model.encoder.embed_images(pictures, [None] * len(pictures))
        tokens_BKVND = tokens.float().unflatten(1, (moments.stop - moments.start, len(cameras), -1))
        return self._perceived(batch, moments, tokens_BKVND)

    def _moments(self, batch: dict[str, Any]) -> int:
        return moments_of(batch[self.config.spatial_cameras[0]], 3).shape[1]

    # Training.

    def loss_terms(
        self, batch: dict[str, Any], rng: np.random.Generator
    ) -> tuple[list[LossTerm], dict[str, Tensor]]:
        """As `pi05_comet`; the gates are logged.

        Raises:
            ZooError: The batch has no history.
        """
        if self.episode_memory is not None and self._moments(batch) == 1:
            raise ZooError(
                "the memory is trained on a history, and the batch has none",
                got=f"{self.config.spatial_cameras[0]} of shape "
                f"{tuple(batch[self.config.spatial_cameras[0]].shape)}",
                expected=f"(rows, {self.config.memory_frames} moments, channels, height, width)",
                do="let LeRobot's loader make the batch from a dataset on disk, or pass --policy.memory=none",
            )
        terms, logs = super().loss_terms(batch, rng)
        return terms, logs | self.gates()

    def get_optim_params(self) -> list[dict[str, Any]]:
        """Two groups: the weights of `pi05_comet`; perception and memory, at `new_lr_scale` times the rate.

        LeRobot logs the first group's rate.
        """
        named = [(name, value) for name, value in self.named_parameters() if value.requires_grad]
        new = [value for name, value in named if _NEW.search(name)]
        rest = [value for name, value in named if not _NEW.search(name)]
        rate = self.config.optimizer_lr * self.config.new_lr_scale
        groups: list[dict[str, Any]] = [{"params": rest}, {"params": new, "lr": rate}]
        return [group for group in groups if group["params"]]

    def gates(self) -> dict[str, Tensor]:
        """How far each gate is open; 0 is closed."""
        parts: list[nn.Module] = [part for part in (self.perception, self.episode_memory) if part is not None]
        matrices = {
            name.rsplit(".", 1)[-1]: module.opening()
            for part in parts
            for name, module in part.named_modules()
            if isinstance(module, ZeroGate)
        }
        scalars = {
            name.rsplit(".", 1)[-1]: torch.tanh(value.detach())
            for part in parts
            for name, value in part.named_parameters()
            if name.endswith("_gate")
        }
        return matrices | scalars

    # Acting.

    def select_action(self, batch: dict[str, Any], noise: Tensor | None = None, **kwargs: Any) -> Tensor:
        """The next action of every row, (B, A)."""
        with self.streaming.control_step(batch_size(batch)):
            return super().select_action(batch, noise, **kwargs)

    def next_chunks(
        self, batch: dict[str, Any], rows: list[int], noise: Tensor | None
    ) -> tuple[Tensor, list[int]]:
        """Chunks of some rows, each with its own memory."""
        with self.streaming.rows(rows):
            return super().next_chunks(batch, rows, noise)

    def reset(self) -> None:
        """Forget everything about the current episodes."""
        super().reset()
        self.streaming.clear()

    def train(self, mode: bool = True) -> "PI05CometVLM2Policy":
        """Between training and acting the memory is cleared."""
        if mode != self.training and hasattr(self, "streaming"):
            self.streaming.clear()
        super().train(mode)
        return self

    def memory_state(self) -> MemoryState | None:
        """What the running episodes remember; a value that a server can keep for each of its sessions."""
        return self.streaming.state

    def restore_memory(self, state: MemoryState | None) -> None:
        """Go on with what `memory_state` gave; None starts an episode. The next prediction writes."""
        self.streaming.restore(state)

    def _get_default_peft_targets(self) -> dict[str, Any]:
        """As `pi05_comet`; perception and memory are trained in full."""
        targets = super()._get_default_peft_targets()
        new = [name for name in ("perception", "episode_memory") if getattr(self, name) is not None]
        return targets | {"modules_to_save": [*targets["modules_to_save"], *new]}
