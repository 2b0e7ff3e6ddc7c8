"""Configuration of `pi05_comet`.

The network is that of pi0.5; LeRobot's `pi05` has the same weights. What differs:

| here                                           | LeRobot's `pi05`                                |
|------------------------------------------------|-------------------------------------------------|
| chunks of 32 actions                           | 50                                              |
| prompts of up to 512 tokens, never cut         | cut at 200, the state first                     |
| cameras by `camera_order`, absent ones dropped | order of a dict, absent ones computed as black  |
| pictures resized as PIL does                   | without antialiasing                            |
| openpi's augmentation, drawn per sample        | none                                            |
| quantiles of all frames, openpi's formula      | averages of the episodes' quantiles             |
| statistics inherited, from a file, or computed | overwritten by each new dataset's               |
| padded actions and dims count when asked       | padded actions count, padded dims do not        |
| openpi's optimizer and schedule                | weight decay 0.01, cosine counted from step 0   |
| EMA                                            | none                                            |
| float32 master weights, bfloat16 arithmetic    | one dtype for both                              |
| averaged overlapping chunks by `control_mode`  | one chunk after the other                       |
| every tensor of a checkpoint finds its place   | failures are printed, weights stay random       |
"""

import math
from dataclasses import dataclass
from typing import Any

from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.utils.constants import OBS_STATE

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError
from lerobot_plugins.policy.configuration import ZooPolicyConfig
from lerobot_plugins.policy.control import CONTROL_MODES
from lerobot_plugins.policy.schedules import OpenPICosineSchedulerConfig
from lerobot_plugins.statistics.columns import recorded_column
from lerobot_plugins.statistics.exact import exact_statistics

# Rows of the token table. PaliGemma's own files have 64 unused rows more than pi0.5's.
VOCABULARIES = {"paligemma_3b": 257152, "tiny": 264}
EXPERTS = ("gemma_300m", "tiny")
STATE_LAYOUTS = ("auto", "as_is")


@PreTrainedConfig.register_subclass("pi05_comet")
@dataclass
class PI05CometConfig(ZooPolicyConfig):
    """pi0.5 with the numbers of openpi and of its BEHAVIOR-1K fork openpi-comet.

    Fields beyond those of `ZooPolicyConfig`:

    Args:
        max_action_dim: Width of the network's actions; shorter ones are padded with zeros. The published
            weights have 32. More needs consent: set it, and the added weights are reported as new.
        state_layout: `auto` makes the 23-d state of a 256-d R1 Pro proprioception and takes any other as
            it is; `as_is` takes every state as it is.
        discrete_state_input: Write the normalised state into the prompt as integers 0..255. Off for
            openpi's `pi05_libero`, which sees no state.
        action_feature_names: Names of the action's dimensions, filled in by LeRobot from the dataset.
        image_augmentation: Crop and turn the first camera, vary brightness, contrast and saturation of all.
        loss_over_padded_dims: Average the loss over all `max_action_dim` dims, as openpi does; its values are
            not comparable with those over the real dims.
        loss_over_padded_actions: Count the repeated actions behind an episode's end, as openpi does.
        loss_weights_path: A table of how much each frame or episode of the training dataset counts in the
            loss, a `.json` or `.parquet` file; None is off. Losses of evaluations are not weighed.
        subtask_prediction: Learn to write each frame's subtask, and when acting write it before the actions,
            which then follow it. The training dataset must have subtasks.
        subtask_loss_weight: Factor of the subtask's cross-entropy; the flow's is 1. openpi-comet's sum has
            the same ratio: the cross-entropy and 10 times the flow.
        subtask_max_len: Most tokens of a subtask, begin and end included; longer ones are refused.
        subtask_refresh: A new subtask is written at every so manieth prediction of actions.
        vlm_grad_scale: Factor on the gradient that flows from the expert into PaliGemma; 0 stops it.
        control_mode: `receding_horizon` executes a chunk to its end; `temporal_ensemble` predicts at every
            step and averages; `receding_temporal` predicts every `replan_interval` steps and averages.
        replan_interval: Steps between predictions of receding_temporal.
        ensemble_size: Chunks that are averaged; None is 5 for temporal_ensemble, 3 for receding_temporal.
        ensemble_decay: Chunk i from the oldest weighs exp(ensemble_decay * i).
        newest_chunk_dims: Action dims taken from the newest chunk instead of averaged; None takes those whose
            name says gripper (R1 Pro's for 23 nameless dims).
        compile_model: Compile the denoising step with torch.compile; for many chunks of one shape.
        compile_mode: Mode of torch.compile; `reduce-overhead` captures CUDA graphs.
        scheduler_decay_steps: Step at which `scheduler_decay_lr` is reached; 0 is the run's length.
    """

    chunk_size: int = 32
    n_action_steps: int = 32
    image_resize: str = "pad"
    prompt_max_len: int = 512
    state_normalization: str = "quantile"
    action_normalization: str = "quantile"

    max_action_dim: int = 32
    state_layout: str = "auto"
    discrete_state_input: bool = True
    action_feature_names: list[str] | None = None
    image_augmentation: bool = True
    loss_over_padded_dims: bool = False
    loss_over_padded_actions: bool = False
    loss_weights_path: str | None = None
    subtask_prediction: bool = False
    subtask_loss_weight: float = 0.1
    subtask_max_len: int = 64
    subtask_refresh: int = 1
    vlm_grad_scale: float = 1.0

    control_mode: str = "receding_horizon"
    replan_interval: int = 5
    ensemble_size: int | None = None
    ensemble_decay: float = 0.005
    newest_chunk_dims: list[int] | None = None

    compile_model: bool = False
    compile_mode: str = "default"

    scheduler_warmup_steps: int = 1000
    scheduler_decay_steps: int = 0
    scheduler_decay_lr: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("action_expert_variant", EXPERTS)
        self._one_of("state_layout", STATE_LAYOUTS)
        self._one_of("control_mode", CONTROL_MODES)
        if self.n_obs_steps != 1:
            raise ZooError(
                "pi05_comet sees one observation step",
                got=f"n_obs_steps={self.n_obs_steps}",
                expected="n_obs_steps=1",
            )
        if self.prompt_template != "{task}":
            raise ZooError(
                "pi0.5's prompt is fixed, because its weights were trained on it",
                got=f"prompt_template={self.prompt_template!r}",
                do="leave --policy.prompt_template out",
            )
        if self.replan_interval < 1 or (self.ensemble_size is not None and self.ensemble_size < 1):
            raise ZooError("replan_interval and ensemble_size must be at least 1")
        if (
            self.subtask_max_len < 3
            or self.subtask_refresh < 1
            or not 0 <= self.subtask_loss_weight < math.inf
        ):
            raise ZooError(
                "a subtask needs room for begin, end and a word, and how often it is written and counts",
                got=f"subtask_max_len={self.subtask_max_len}, subtask_refresh={self.subtask_refresh}, "
                f"subtask_loss_weight={self.subtask_loss_weight}",
                expected="at least 3, at least 1, and a finite number from 0",
            )
        intervals = {"temporal_ensemble": 1, "receding_temporal": self.replan_interval}
        interval = intervals.get(self.control_mode, 0)
        if self.n_action_steps <= interval:
            raise ZooError(
                f"control_mode={self.control_mode} averages chunks, and these would not overlap",
                got=f"n_action_steps={self.n_action_steps}, a new chunk every {interval} steps",
                expected=f"n_action_steps above {interval}",
                do=f"pass --policy.n_action_steps={self.chunk_size}, or leave --policy.control_mode out",
            )

    def validate_features(self) -> None:
        """Resolve cameras, state and action.

        Depth and segmentation pictures are no cameras of this network, and states other than
        `observation.state` are none of its inputs: both are left out.

        Raises:
            ZooError: No camera, no state although the prompt holds it, an action that is too wide, dims that
                do not exist.
        """
        named = set(self.camera_order or [])
        features: dict[str, PolicyFeature] = dict(self.input_features or {})  # type: ignore[has-type]
        features = {k: f for k, f in features.items() if k in named or k == OBS_STATE or _is_color(f)}
        self.input_features = features
        super().validate_features()
        assert self.camera_order is not None
        for name in self.camera_order:
            if not _is_color(features[name]):
                raise ZooError(
                    f"{name} is no colour camera",
                    got=f"shape {tuple(features[name].shape)}",
                    expected="3 channels",
                    do="leave it out of --policy.camera_order",
                )
        self.input_features = {k: f for k, f in features.items() if k in self.camera_order or k == OBS_STATE}
        if self.discrete_state_input and not self.state_width:
            raise ZooError(
                "the prompt holds the state, but the data has no observation.state",
                got=f"input features {sorted(features)}",
                do="pass --policy.discrete_state_input=false",
            )
        if self.action_width > self.max_action_dim:
            raise ZooError(
                "the action is wider than the network's",
                got=f"{self.action_width} dims",
                expected=f"at most max_action_dim={self.max_action_dim}",
                do=f"pass --policy.max_action_dim={self.action_width} to widen it; the weights of the added "
                "dims are new and must be trained",
            )
        outside = [dim for dim in self.newest_chunk_dims or [] if not 0 <= dim < self.action_width]
        if outside:
            raise ZooError(
                "newest_chunk_dims names dims that the action does not have",
                got=outside,
                expected=f"0 to {self.action_width - 1}",
            )

    @property
    def subtask_room(self) -> int:
        """Most tokens of a subtask."""
        return self.subtask_max_len if self.subtask_prediction else 0

    @property
    def reads_proprioception(self) -> bool:
        """Whether `observation.state` is R1 Pro's 256-d proprioception, of which the 23-d state is taken."""
        return self.state_layout == "auto" and super().state_width == r1pro.PROPRIOCEPTION_DIM

    @property
    def state_width(self) -> int:
        """Width of the state that is normalised and written into the prompt."""
        return len(r1pro.STATE_NAMES) if self.reads_proprioception else super().state_width

    def dataset_statistics(self, meta: Any) -> dict[str, Any]:
        """The dataset's statistics; those of a 23-d state that is part of recorded proprioception are
        computed from all frames.
        """
        if not self.reads_proprioception:
            return super().dataset_statistics(meta)
        proprioception = recorded_column(meta, OBS_STATE)
        state = exact_statistics(r1pro.state_from_proprioception(proprioception))
        return dict(meta.stats) | {OBS_STATE: state}

    @property
    def averaged_around(self) -> list[int]:
        """Action dims that averaging leaves to the newest chunk."""
        if self.newest_chunk_dims is not None:
            return self.newest_chunk_dims
        if self.action_feature_names is not None:
            return [i for i, name in enumerate(self.action_feature_names) if "gripper" in name.lower()]
        return list(r1pro.ACTION_GRIPPER_DIMS) if self.action_width == len(r1pro.ACTION_NAMES) else []

    def get_scheduler_preset(self) -> OpenPICosineSchedulerConfig:
        return OpenPICosineSchedulerConfig(
            num_warmup_steps=self.scheduler_warmup_steps,
            num_decay_steps=self.scheduler_decay_steps,
            peak_lr=self.optimizer_lr,
            decay_lr=self.scheduler_decay_lr,
        )


def _is_color(feature: PolicyFeature) -> bool:
    return feature.type is FeatureType.VISUAL and feature.shape[0] == 3
