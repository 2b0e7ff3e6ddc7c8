"""Configuration of `paligemma_flow`."""

from dataclasses import dataclass, field
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.optim.schedulers import CosineAnnealingWithWarmupSchedulerConfig

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.flow_matching import NOISE_DISTRIBUTIONS, TIME_DISTRIBUTIONS
from lerobot_plugins.nn.resamplers import COMPRESSING, RESAMPLERS
from lerobot_plugins.policy.configuration import ZooPolicyConfig
from lerobot_policy_paligemma_flow.history import HISTORY_MODES

# action_expert_variant -> width, depth, attention heads of the DiT head
HEADS = {"dit_165m": (1024, 8, 16), "tiny": (128, 4, 4)}
CONTEXT_SOURCES = ("last", "layerwise")
TRAINED_RESAMPLERS = ("mlp", "perceiver")


@PreTrainedConfig.register_subclass("paligemma_flow")
@dataclass
class PaliGemmaFlowConfig(ZooPolicyConfig):
    """PaliGemma encodes pictures and prompt once; a DiT head cross-attends to all of its tokens and turns
    noise into a chunk of actions by flow matching.

    Fields beyond those of `ZooPolicyConfig`:

    Args:
        action_expert_variant: `dit_165m` (width 1024, depth 8, 16 heads) or `tiny`.
        head_type: `dit`, or `mlp` for a light head of widths `mlp_hidden_dims`.
        mlp_hidden_dims: Layers of the `mlp` head.
        head_width: Width of the head; None takes the variant's. Likewise `head_depth`, `head_num_heads`.
        head_mlp_ratio: Hidden width of a head block's MLP over its width.
        context_source: What the head's blocks attend to: the `last` hidden states of the language model, or
            `layerwise`: block i of N those of layer ceil((i + 1) L / N) of its L.
        head_dropout: Dropout inside the head; None is 0 for `dit` and 0.1 for `mlp`.
        use_state_input: Give `observation.state` to the head.
        use_aux_camera: False keeps the first camera only.
        history_mode: What the PaliGemma sees of n_obs_steps observations: the `last`; each by itself
            (`per_frame`); all in one prefix (`joint`), in it few tokens for the older ones (`compressed`).
            `auto` is `per_frame` where there are several. The head sees the states of all steps in any case.
        vision_resampler_type: What makes a picture's tokens: `none` (PaliGemma's projector), `mlp` (plus a
            trained correction), `pool` (means of neighbours) or `perceiver` (learned queries).
        resampler_num_tokens: Tokens per picture of `pool` and `perceiver`.
        resampler_depth: Blocks of `perceiver`.
        resampler_hidden_dim: Hidden width of the resampler's MLPs; None is the tower's width for `mlp`, four
            times the language model's for `perceiver`.
        vlm_num_layers: Keep the language model's first layers only; None keeps all. Chosen once: the weights
            of the others are not part of the policy.
        state_clip: Normalised states are clipped to [-state_clip, state_clip], so that a robot far outside of
            its statistics does not drive the head far outside of its training; None never clips. Without
            normalisation (`identity`) nothing is clipped.
        state_dropout: Share of training samples whose states are hidden from the head.
        init_revision: Revision of `init_from` on the Hub.
        vlm_config: Geometry of the PaliGemma, filled in at the first construction, so that a checkpoint is
            rebuilt from its own config.json and never asks for the base model again.
        freeze_projector: Do not train the projector between the towers; None follows freeze_language_model.
        train_embeddings: Train the token table too. It is 0.53 B weights and 6.3 GB of training state.
        vlm_grad_scale: Factor on the gradient that flows from the head into the PaliGemma; 0 stops it.
        vlm_warmup_steps: Optimizer steps (`trained_steps`) before which that gradient is 0: an untrained
            head's gradients damage a pretrained PaliGemma.
        vlm_lr_scale: Learning rate of the PaliGemma over that of the head.
        action_dim: Only a check: must equal chunk_size times the action's width.
        flow_repeats: Draws of noise and time per observation and step; the PaliGemma runs once for all.
        time_sampling: Distribution of training times: `beta`, `uniform`, `beta_symmetric`, `logit_normal`.
        time_beta_alpha: alpha of Beta(alpha, 1) for time_sampling=beta.
        noise_distribution: `normal`, or `uniform` on [-1, 1].
        time_min_period: Shortest period of the time embedding. Likewise `time_max_period`.
        clip_value: Sampled actions are clipped to [-clip_value, clip_value] in normalised units where the
            normalisation is bounded (min_max, quantile); None never clips.
        action_dim_weights: Loss weight per action dimension; None weighs all by 1.
        eval_time_samples: Times per observation in evaluation losses, a stratified grid.
    """

    action_expert_variant: str = "dit_165m"
    head_width: int | None = None
    head_depth: int | None = None
    head_num_heads: int | None = None
    head_mlp_ratio: float = 4.0
    head_dropout: float | None = None
    head_type: str = "dit"
    mlp_hidden_dims: list[int] = field(default_factory=lambda: [512, 256])

    context_source: str = "last"

    use_state_input: bool = True
    use_aux_camera: bool = True
    history_mode: str = "auto"
    vision_resampler_type: str = "none"
    resampler_num_tokens: int = 64
    resampler_depth: int = 2
    resampler_hidden_dim: int | None = None
    vlm_num_layers: int | None = None
    state_clip: float | None = 5.0
    state_dropout: float = 0.0
    init_revision: str | None = None
    vlm_config: dict[str, Any] | None = None

    freeze_projector: bool | None = None
    train_embeddings: bool = False
    vlm_grad_scale: float = 1.0
    vlm_warmup_steps: int = 0
    vlm_lr_scale: float = 0.1

    action_dim: int | None = None
    flow_repeats: int = 4
    time_sampling: str = "beta"
    time_beta_alpha: float = 1.5
    noise_distribution: str = "normal"
    time_min_period: float = 4e-3
    time_max_period: float = 4.0
    clip_value: float | None = 1.0
    action_dim_weights: list[float] | None = None
    eval_time_samples: int = 8

    optimizer_lr: float = 1e-4
    optimizer_betas: tuple[float, float] = (0.9, 0.999)
    optimizer_weight_decay: float = 0.01
    scheduler_warmup_steps: int = 500

    drop_n_last_frames: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("action_expert_variant", tuple(HEADS))
        self._one_of("time_sampling", TIME_DISTRIBUTIONS)
        self._one_of("noise_distribution", NOISE_DISTRIBUTIONS)
        self._one_of("vision_resampler_type", RESAMPLERS)
        width, _, heads = self.head_geometry
        if width % heads:
            raise ZooError(
                "head_width must be a multiple of head_num_heads",
                got=f"head_width={width}, head_num_heads={heads}",
            )
        if self.flow_repeats < 1 or self.eval_time_samples < 1:
            raise ZooError("flow_repeats and eval_time_samples must be at least 1")
        if not 0 <= self.state_dropout < 1 or (self.state_dropout and not self.use_state_input):
            raise ZooError(
                "state_dropout hides states that the head would see",
                got=f"state_dropout={self.state_dropout}, use_state_input={self.use_state_input}",
                expected="a share in [0, 1), above 0 only with use_state_input",
            )
        if self.state_clip is not None and self.state_clip < 1:
            raise ZooError(
                "state_clip would cut off states that the statistics contain",
                got=self.state_clip,
                expected="1 or more, in normalised units; null is off",
            )
        self._one_of("head_type", ("dit", "mlp"))
        self._one_of("context_source", CONTEXT_SOURCES)
        if self.head_type == "mlp" and self.context_source == "layerwise":
            raise ZooError(
                "the mlp head reads the prefix once and has no blocks to give layers to",
                got="head_type=mlp, context_source=layerwise",
                do="pass --policy.head_type=dit, or leave --policy.context_source out",
            )
        if not self.mlp_hidden_dims or min(self.mlp_hidden_dims) < 1:
            raise ZooError("mlp_hidden_dims must be widths of at least one layer", got=self.mlp_hidden_dims)
        if self.head_dropout is not None and not 0 <= self.head_dropout < 1:
            raise ZooError("head_dropout is out of range", got=self.head_dropout, expected="in [0, 1)")
        self._check_resampler()
        self._check_history()

    def _check_resampler(self) -> None:
        for name in ("resampler_num_tokens", "resampler_depth", "resampler_hidden_dim"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ZooError(f"{name} must be at least 1", got=value)
        if self.vision_resampler_type in TRAINED_RESAMPLERS and self.vlm_grad_scale == 0:
            raise ZooError(
                "nothing would train the resampler: its gradient passes through the PaliGemma",
                got=f"vision_resampler_type={self.vision_resampler_type}, vlm_grad_scale=0",
                do="pass --policy.vision_resampler_type=none or =pool, or a vlm_grad_scale above 0 with "
                "--policy.freeze_vision_tower=true --policy.freeze_language_model=true",
            )

    def _check_history(self) -> None:
        self._one_of("history_mode", HISTORY_MODES)
        if self.n_obs_steps == 1 and self.history_mode not in ("auto", "last"):
            raise ZooError(
                f"history_mode={self.history_mode} needs a history",
                got="n_obs_steps=1",
                expected="n_obs_steps of 2 or more",
                do="pass --policy.n_obs_steps=4, or leave --policy.history_mode out",
            )
        if self.history_mode == "compressed" and self.vision_resampler_type not in COMPRESSING:
            raise ZooError(
                "history_mode=compressed needs a resampler that makes fewer tokens",
                got=f"vision_resampler_type={self.vision_resampler_type}",
                expected=" or ".join(COMPRESSING),
                do="pass --policy.vision_resampler_type=pool",
            )

    def validate_features(self) -> None:
        """Resolve cameras and state.

        Raises:
            ZooError: No camera, no action, a state feature that the policy would not see, or dimensions that
                contradict the configuration.
        """
        super().validate_features()
        assert self.camera_order is not None
        if not self.use_aux_camera:
            self.camera_order = self.camera_order[:1]
        if self.use_state_input and not self.state_width:
            raise ZooError(
                "use_state_input is on, but the data has no observation.state",
                got=f"input features {sorted(self.input_features or {})}",
                do="pass --policy.use_state_input=false",
            )
        if self.other_state_features:
            raise ZooError(
                "paligemma_flow sees no state but observation.state, and the data has more",
                got=", ".join(self.other_state_features),
                do="name the features to use with --policy.input_features, or leave the others out of the "
                "dataset",
            )
        width = self.action_width
        if self.action_dim is not None and self.action_dim != self.chunk_size * width:
            raise ZooError(
                "action_dim contradicts the data",
                got=f"action_dim={self.action_dim}",
                expected=f"chunk_size {self.chunk_size} x action width {width} = {self.chunk_size * width}",
            )
        if self.action_dim_weights is not None and len(self.action_dim_weights) != width:
            raise ZooError(
                "action_dim_weights has the wrong length",
                got=len(self.action_dim_weights),
                expected=f"{width}, one weight per action dimension",
            )

    @property
    def head_geometry(self) -> tuple[int, int, int]:
        """Width, depth and attention heads of the head."""
        width, depth, heads = HEADS[self.action_expert_variant]
        return self.head_width or width, self.head_depth or depth, self.head_num_heads or heads

    @property
    def resolved_dropout(self) -> float:
        """Dropout inside the head."""
        if self.head_dropout is not None:
            return self.head_dropout
        return 0.1 if self.head_type == "mlp" else 0.0

    @property
    def resolved_history_mode(self) -> str:
        """`history_mode` with `auto` decided: `last` for one observation step, else `per_frame`."""
        if self.history_mode != "auto":
            return self.history_mode
        return "last" if self.n_obs_steps == 1 else "per_frame"

    @property
    def state_limit(self) -> float | None:
        """Bound of normalised states; None without one."""
        return None if self.state_normalization == "identity" else self.state_clip

    @property
    def bounded_actions(self) -> bool:
        """Whether normalised actions lie in [-1, 1]."""
        return self.action_normalization in ("min_max", "quantile")

    def get_scheduler_preset(self) -> CosineAnnealingWithWarmupSchedulerConfig:
        return CosineAnnealingWithWarmupSchedulerConfig(num_warmup_steps=self.scheduler_warmup_steps)
