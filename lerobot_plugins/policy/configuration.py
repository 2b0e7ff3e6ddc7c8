"""Configuration fields that every policy of the zoo has, under the same names."""

import difflib
from dataclasses import dataclass, field
from typing import Any

from lerobot.configs import FeatureType, NormalizationMode, PreTrainedConfig
from lerobot.optim.optimizers import AdamWConfig
from lerobot.policies.rtc.configuration_rtc import RTCConfig
from lerobot.utils.constants import ACTION, OBS_STATE

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.grippers import GripperMap

STATS_SOURCES = ("dataset", "checkpoint", "file")
NORMALIZATIONS = ("min_max", "quantile", "mean_std", "identity")
RESIZE_MODES = ("stretch", "pad")
TOKENIZER_PADDINGS = ("longest", "max_length")
DTYPES = ("float32", "bfloat16")


@dataclass
class ZooPolicyConfig(PreTrainedConfig):
    """Shared fields; a policy's configuration adds its own and overrides defaults.

    Args:
        n_obs_steps: Observation steps the policy sees, the current one included.
        chunk_size: Predicted actions per chunk (the horizon).
        n_action_steps: Actions of a chunk that are executed before the next is predicted.
        dtype: `bfloat16` computes in bfloat16 with float32 master weights; `float32` everywhere.
        camera_order: Image features in the order the network sees them. None takes the dataset's order and
            stores it, so that a checkpoint never depends on the order of a dict.
        allow_missing_cameras: Act without cameras that the environment or robot lacks, as if they were
            masked, instead of refusing. Training always needs all of them.
        image_resize: `stretch` ignores the aspect ratio, `pad` keeps it on a black square.
        tokenizer_name: Hub id or folder with a tokenizer.json, or `byte`. None follows the variant.
        prompt_max_len: Most tokens of a prompt, its BOS and newline included.
        tokenizer_padding: `longest` prompt of the batch, or `max_length` for static shapes.
        prompt_template: Text around `{task}`.
        paligemma_variant: Geometry preset of the vision-language model: `paligemma_3b` or `tiny`.
        action_expert_variant: Geometry preset of the action network.
        init_from: Weights to start from: hub id, folder, or `scratch`. None is the variant's own.
        freeze_vision_tower: Do not train the SigLIP tower.
        freeze_language_model: Do not train the Gemma language model.
        gradient_checkpointing: Recompute layer activations in the backward pass to save memory.
        ema_decay: Average the trained weights over the steps, by decay * average + (1 - decay) * weight, and
            evaluate and deploy the average (openpi: 0.99, on LIBERO 0.999). None is off.
        num_inference_steps: Euler steps from noise to actions.
        stats_source: Whose statistics normalise state and action: the training `dataset`'s, those inherited
            from the `checkpoint` named by --policy.path, or those of the `file` at `stats_path`.
        stats_path: A LeRobot `stats.json`, an openpi `norm_stats.json` or a `dataset_statistics.json`; only
            with stats_source=file.
        state_normalization: `min_max` or `quantile` (q01, q99) to [-1, 1], `mean_std`, or `identity`.
        action_normalization: Likewise for the action.
        eval_seed: Seed of evaluation losses and of sampled actions.
        rtc_config: Real-time chunking of lerobot-rollout; None is off.
        trained_steps: Optimizer steps so far; advanced by the training loop and stored with the checkpoint.
            It keys the randomness of training, also where only an adapter's weights are saved.
        optimizer_lr: Of AdamW, as openpi sets it by default; likewise the other `optimizer_*` fields.
    """

    n_obs_steps: int = 1
    chunk_size: int = 8
    n_action_steps: int = 8
    dtype: str = "bfloat16"
    camera_order: list[str] | None = None
    allow_missing_cameras: bool = False
    image_resize: str = "stretch"
    tokenizer_name: str | None = None
    prompt_max_len: int = 77
    tokenizer_padding: str = "longest"
    prompt_template: str = "{task}"
    paligemma_variant: str = "paligemma_3b"
    action_expert_variant: str = "gemma_300m"
    init_from: str | None = None
    freeze_vision_tower: bool = False
    freeze_language_model: bool = False
    gradient_checkpointing: bool = False
    ema_decay: float | None = None
    num_inference_steps: int = 10
    stats_source: str = "dataset"
    stats_path: str | None = None
    state_normalization: str = "min_max"
    action_normalization: str = "min_max"
    eval_seed: int = 0
    rtc_config: RTCConfig | None = None
    trained_steps: int = 0

    optimizer_lr: float = 2.5e-5
    optimizer_betas: tuple[float, float] = (0.9, 0.95)
    optimizer_eps: float = 1e-8
    optimizer_weight_decay: float = 1e-10
    optimizer_grad_clip_norm: float = 1.0

    # LeRobot's own normaliser stays in the pipelines, switched off: on --policy.path the host overwrites its
    # statistics, and inheriting them from the checkpoint would be impossible.
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: dict.fromkeys(("VISUAL", "STATE", "ACTION"), NormalizationMode.IDENTITY)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.dtype = self.dtype.removeprefix("torch.")
        self._one_of("dtype", DTYPES)
        self._one_of("image_resize", RESIZE_MODES)
        self._one_of("tokenizer_padding", TOKENIZER_PADDINGS)
        self._one_of("stats_source", STATS_SOURCES)
        self._one_of("state_normalization", NORMALIZATIONS)
        self._one_of("action_normalization", NORMALIZATIONS)
        for name in ("chunk_size", "n_action_steps", "n_obs_steps", "num_inference_steps"):
            if getattr(self, name) < 1:
                raise ZooError(f"{name} must be at least 1", got=getattr(self, name))
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ZooError("ema_decay is out of range", got=self.ema_decay, expected="in (0, 1); null is off")
        if self.prompt_max_len < 3:
            raise ZooError(
                "prompt_max_len has no room for a prompt",
                got=self.prompt_max_len,
                expected="at least 3: BOS, one token, newline",
            )
        if self.n_action_steps > self.chunk_size:
            raise ZooError(
                "a chunk cannot be shorter than the steps executed from it",
                got=f"n_action_steps={self.n_action_steps}, chunk_size={self.chunk_size}",
                expected="n_action_steps <= chunk_size",
                do=f"pass --policy.n_action_steps={self.chunk_size}",
            )
        if any(
            NormalizationMode(mode) is not NormalizationMode.IDENTITY
            for mode in self.normalization_mapping.values()
        ):
            raise ZooError(
                "normalization_mapping switches LeRobot's own normaliser, which this policy does not use",
                got=self.normalization_mapping,
                expected="IDENTITY",
                do="set --policy.state_normalization and --policy.action_normalization",
            )
        if (self.stats_path is not None) != (self.stats_source == "file"):
            raise ZooError(
                "stats_path and stats_source do not agree",
                got=f"stats_source={self.stats_source}, stats_path={self.stats_path}",
                expected="stats_path is set exactly when stats_source=file",
            )

    def _one_of(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            close = difflib.get_close_matches(str(value), choices, n=1)
            hint = f"pass --policy.{name}={close[0]}" if close else f"set --policy.{name} to one of these"
            if value == "float16":
                hint = "float16 overflows in Gemma; use bfloat16"
            raise ZooError(f"unknown {name}", got=value, expected=" or ".join(choices), do=hint)

    def validate_features(self) -> None:
        """Resolve the cameras and refuse features the policy would misread.

        Raises:
            ZooError: No camera, a named camera that does not exist, no action.
        """
        cameras = list(self.image_features)
        if not cameras:
            raise ZooError(
                f"policy type {self.type} needs at least one camera",
                got=f"input features {sorted(self.input_features or {})}",
                expected="a feature named observation.images.<camera>",
                do="use a dataset or environment with pictures",
            )
        if self.camera_order is None:
            self.camera_order = cameras
        absent = [name for name in self.camera_order if name not in cameras]
        if absent:
            raise ZooError(
                "camera_order names cameras that the data does not have",
                got=", ".join(absent),
                expected=f"names out of {', '.join(cameras)}",
                do="set --policy.camera_order, or map names with --rename_map",
            )
        if self.action_feature is None:
            raise ZooError(
                f"policy type {self.type} needs an action feature",
                got=f"output features {sorted(self.output_features or {})}",
                expected=f"a feature named {ACTION!r}",
            )

    def dataset_statistics(self, meta: Any) -> dict[str, Any]:
        """Statistics of a training dataset for the features as this policy sees them."""
        return meta.stats

    def placed_statistics(self, stats: dict[str, Any]) -> dict[str, Any]:
        """Statistics of a file, those of a part of a feature's dims in their places; by default unchanged."""
        return stats

    @property
    def gripper_maps(self) -> dict[str, list[GripperMap]]:
        """Feature key -> dims that the normaliser turns into 0 closed to 1 open; by default none."""
        return {}

    @property
    def clip_normalized(self) -> bool:
        """Whether normalised states and actions are clipped to [-1, 1]."""
        return False

    def get_optimizer_preset(self) -> AdamWConfig:
        return AdamWConfig(
            lr=self.optimizer_lr,
            betas=self.optimizer_betas,
            eps=self.optimizer_eps,
            weight_decay=self.optimizer_weight_decay,
            grad_clip_norm=self.optimizer_grad_clip_norm,
        )

    @property
    def subtask_room(self) -> int:
        """Most tokens of a subtask that the policy writes, begin and end included; 0 where it writes none."""
        return 0

    @property
    def action_width(self) -> int:
        """Width of one action."""
        assert self.action_feature is not None, "validate_features comes first"
        return int(self.action_feature.shape[0])

    @property
    def state_width(self) -> int:
        """Width of the proprioceptive state, 0 without one."""
        feature = self.robot_state_feature
        return int(feature.shape[0]) if feature is not None else 0

    @property
    def other_state_features(self) -> list[str]:
        """State-typed inputs that are not `observation.state`."""
        return [
            key
            for key, feature in (self.input_features or {}).items()
            if feature.type in (FeatureType.STATE, FeatureType.ENV) and key != OBS_STATE
        ]

    @property
    def observation_delta_indices(self) -> list[int] | None:
        """None for one observation step: a list of one would add a time dimension to some datasets only."""
        return None if self.n_obs_steps == 1 else list(range(1 - self.n_obs_steps, 1))

    @property
    def action_delta_indices(self) -> list[int]:
        return list(range(self.chunk_size))

    @property
    def reward_delta_indices(self) -> None:
        return None
