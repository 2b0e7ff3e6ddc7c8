"""Configuration of `waypoint_vla`.

A planner writes the next waypoints as tokens, an action expert fills in the actions between two of them. Both
read one PaliGemma; the expert is pi0.5's. What differs from `pi05_comet`:

| here                                                  | `pi05_comet`                      |
|-------------------------------------------------------|-----------------------------------|
| two prompts: task and state to plan, task to act      | one, with task and state          |
| the expert is told start, end and duration            | nothing but the prompt            |
| of 32 actions the first `duration` count              | all                               |
| text loss and flow loss on one backbone               | flow loss                         |
| grippers are 0 closed to 1 open, and not normalised   | a dim like any other              |
| state and action are clipped to [-1, 1]               | not clipped                       |
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from lerobot.configs import PreTrainedConfig
from lerobot.optim.schedulers import LRSchedulerConfig
from lerobot.utils.constants import ACTION, OBS_STATE

from lerobot_plugins.errors import ZooError
from lerobot_plugins.policy.configuration import ZooPolicyConfig
from lerobot_plugins.policy.schedules import MultistepSchedulerConfig, OpenPICosineSchedulerConfig
from lerobot_plugins.processing.grippers import CONVENTIONS, GripperMap
from lerobot_plugins.waypoints.rule import PRESETS as RULES
from lerobot_plugins.waypoints.rule import WaypointRule
from lerobot_plugins.waypoints.targets import FRAME_MODES
from lerobot_policy_waypoint_vla.robots import PRESETS, RobotDims, free_dims
from lerobot_policy_waypoint_vla.tokens import DURATIONS, LAYOUTS, TokenLayout

# Per variant: rows of the token table, and the highest id that a plan uses. In PaliGemma's vocabulary the
# last 128 tokens are kept for segmentation; the tiny one has room above the byte tokenizer's ids.
VOCABULARIES = {"paligemma_3b": (257152, 257023), "tiny": (640, 639)}
EXPERTS = ("gemma_300m", "tiny")
# A gripper that moves between 0 and 1 never changes by more than the rule's default of 1.
UNIT_GRIPPER_ATOL = 0.5
GRADIENT_STRATEGIES = ("none", "scale", "stop", "freeze")

CHOICES = {
    "action_expert_variant": EXPERTS,
    "token_layout": tuple(LAYOUTS),
    "terminal_fill": ("last", "zero"),
    "frame_mode": FRAME_MODES,
    "duration_mode": ("token", "adarms_concat"),
    "loss_mode": ("joint", "vlm", "ae"),
    "gradient_strategy": GRADIENT_STRATEGIES,
    "ce_scope": ("full", "family"),
    "start_state": ("observed", "planned"),
}


@PreTrainedConfig.register_subclass("waypoint_vla")
@dataclass
class WaypointVLAConfig(ZooPolicyConfig):
    """Waypoints planned as tokens, actions by an expert.

    Fields beyond those of `ZooPolicyConfig`:

    Args:
        robot_preset: `libero`, `calvin` or `r1_lite`: which dims are what, and how waypoints are extracted.
            None is a free configuration by the fields that follow, each of which also overrides the preset.
        continuous_state_dims: State dims that waypoints hold as numbers; None takes all that are neither
            grippers nor ignored.
        gripper_state_dims: State dims that waypoints hold as open or closed.
        gripper_state_thresholds: Per gripper in raw units: open is above.
        ignored_state_dims: State dims that the policy does not see.
        gripper_action_dims: Action dims that command a gripper.
        gripper_action_convention: `negative_is_open` (-1 opens, +1 closes), `positive_is_open`, `unit` (0
            closed, 1 open) or `percent` (0 closed, 100 open).
        waypoint_threshold: Largest distance of a frame to its segment, in raw units of the state.
        waypoint_arms: State dims of each arm, which is simplified on its own; None is the preset's, or all
            continuous dims as one arm.
        waypoint_gripper_atol: Larger changes of a gripper's action are waypoints, in raw units.
        waypoint_table: Use the waypoints kept beside the dataset under this name, whatever made them.
        num_waypoints: Waypoints of a plan.
        max_duration: Longest segment in control steps.
        token_layout: `bins300` (gripper tokens) or `bins256`, see `tokens`.
        terminal_fill: State of the slot after an episode's last waypoint: `last` repeats it and is learned,
            `zero` is not, as published.
        frame_mode: Which segments the expert learns from a frame: to the next waypoint (`suffix`), as long as
            the whole segment (`slide`), either (`mixed`), or as long as a segment that starts within
            `max_shift` frames (`shift`).
        max_shift: See `frame_mode`.
        max_action_dim: Width of the network's actions; shorter ones are padded with zeros.
        max_state_dim: Width of the start and end states that the expert is told.
        duration_mode: The duration is a `token` of its own, or joins the time in the expert's norms
            (`adarms_concat`).
        separate_planner: The planner has a PaliGemma of its own.
        planner_init_from: Weights of that PaliGemma: a waypoint_vla or pi0.5 checkpoint; None is `init_from`.
        loss_mode: `joint`, only the planner (`vlm`) or only the expert (`ae`).
        expert_loss_weight: Factor on the expert's loss.
        gradient_strategy: What the expert's loss trains in PaliGemma: all (`none`), all with its gradient
            scaled by `gradient_scale` (`scale`), nothing (`stop`); `freeze` keeps PaliGemma as it is.
        gradient_scale: 0 stops the gradient, 1 leaves it.
        gripper_loss_weight: Weight of a gripper's token in the planner's loss.
        ce_scope: The planner's loss over the `full` vocabulary, or over the tokens that are possible in each
            place (`family`), which is all that decoding looks at.
        freeze_token_table: Keep PaliGemma's token table and train differences for the rows that plans use.
        proprio_noise_std: Noise on the start and end state that the expert is told, in training.
        image_augmentation: Random crops and colours in training; acting then takes the centre crop.
        image_crop_area: Share of the picture's area that a crop keeps.
        loss_over_padded_dims: Let padded action dims count, with target zero.
        planner_temperature: 0 takes the likeliest token.
        segments_per_plan: Segments executed before the next plan; 0 is the whole plan.
        start_state: The expert starts from the `observed` state, or from the `planned` end of the segment
            before.
        allow_terminal_first: A plan may say at once that the episode ends; the robot then stays for a step.
        max_stalled_plans: After so many plans in a row that lead nowhere, a plan is executed as a whole; 0 is
            off.
        hold_padding: Steps and dims that training never supervised keep their share of noise while actions
            are sampled, as they had in training; False lets them evolve, as published.
        compile_model: Compile the denoising step with torch.compile.
        compile_mode: Mode of torch.compile.
        scheduler_decay_steps: Step at which `scheduler_decay_lr` is reached; 0 is the run's length.
        scheduler_milestones: Instead of the cosine, multiply the rate by `scheduler_gamma` at these steps.
    """

    chunk_size: int = 32
    n_action_steps: int = 32
    prompt_max_len: int = 128
    state_normalization: str = "quantile"
    action_normalization: str = "quantile"

    robot_preset: str | None = None
    continuous_state_dims: list[int] | None = None
    gripper_state_dims: list[int] | None = None
    gripper_state_thresholds: list[float] | None = None
    ignored_state_dims: list[int] | None = None
    gripper_action_dims: list[int] | None = None
    gripper_action_convention: str | None = None
    waypoint_threshold: float | None = None
    waypoint_arms: list[list[int]] | None = None
    waypoint_gripper_atol: float | None = None
    waypoint_table: str | None = None

    num_waypoints: int = 7
    max_duration: int = 32
    token_layout: str = "bins300"  # noqa: S105
    terminal_fill: str = "last"
    frame_mode: str = "mixed"
    max_shift: int = 2

    max_action_dim: int = 32
    max_state_dim: int = 32
    duration_mode: str = "token"
    separate_planner: bool = False
    planner_init_from: str | None = None

    loss_mode: str = "joint"
    expert_loss_weight: float = 1.0
    gradient_strategy: str = "scale"
    gradient_scale: float = 0.3
    gripper_loss_weight: float = 3.0
    ce_scope: str = "full"
    freeze_token_table: bool = False
    proprio_noise_std: float = 0.02
    image_augmentation: bool = True
    image_crop_area: float = 0.9
    loss_over_padded_dims: bool = False

    planner_temperature: float = 0.0
    segments_per_plan: int = 1
    start_state: str = "observed"
    allow_terminal_first: bool = False
    max_stalled_plans: int = 3
    hold_padding: bool = True
    compile_model: bool = False
    compile_mode: str = "default"

    optimizer_lr: float = 1e-4
    optimizer_betas: tuple[float, float] = (0.9, 0.999)
    optimizer_weight_decay: float = 1e-4
    scheduler_warmup_steps: int = 1000
    scheduler_decay_steps: int = 0
    scheduler_decay_lr: float = 1e-5
    scheduler_milestones: list[int] | None = None
    scheduler_gamma: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in CHOICES.items():
            self._one_of(name, choices)
        if self.robot_preset is not None:
            self._one_of("robot_preset", tuple(PRESETS))
        if self.gripper_action_convention is not None:
            self._one_of("gripper_action_convention", CONVENTIONS)
        self._require_ranges()
        self._require_agreement()

    def _require_ranges(self) -> None:
        longest = min(self.chunk_size, DURATIONS - 1)
        bounds = {
            "n_obs_steps": (1, 1),
            "num_waypoints": (1, None),
            "max_duration": (1, longest),
            "max_shift": (0, None),
            "gradient_scale": (0, 1),
            "gripper_loss_weight": (0, None),
            "expert_loss_weight": (0, None),
            "proprio_noise_std": (0, None),
            "planner_temperature": (0, None),
            "segments_per_plan": (0, self.num_waypoints),
            "max_stalled_plans": (0, None),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if value < low or (high is not None and value > high):
                upto = f"{low}" if high == low else f"from {low} on" if high is None else f"{low} to {high}"
                hint = None
                if name == "max_duration":
                    hint = "a segment cannot be longer than a chunk; set --policy.chunk_size too"
                raise ZooError(f"{name} is out of range", got=value, expected=upto, do=hint)
        if not 0 < self.image_crop_area <= 1:
            raise ZooError(
                "image_crop_area is out of range", got=self.image_crop_area, expected="above 0, at most 1"
            )

    def _require_agreement(self) -> None:
        if self.loss_mode == "ae" and self.gradient_strategy == "stop":
            raise ZooError(
                "nothing would train PaliGemma, and its gradients would be computed in vain",
                got="loss_mode=ae with gradient_strategy=stop",
                do="pass --policy.gradient_strategy=freeze",
            )
        if self.loss_mode == "vlm" and self.gradient_strategy == "freeze" and not self.separate_planner:
            raise ZooError(
                "the planner is a PaliGemma, and it would be frozen",
                got="loss_mode=vlm with gradient_strategy=freeze",
                do="leave --policy.gradient_strategy out",
            )
        if self.planner_init_from is not None and not self.separate_planner:
            raise ZooError(
                "planner_init_from names weights for a planner that shares the expert's PaliGemma",
                got="separate_planner=false",
                do="pass --policy.separate_planner=true, or --policy.init_from instead",
            )
        if self.prompt_template != "{task}":
            raise ZooError(
                "the prompts of waypoint_vla are fixed",
                got=f"prompt_template={self.prompt_template!r}",
                do="leave --policy.prompt_template out",
            )

    def validate_features(self) -> None:
        """Resolve cameras, state and action; see `robots` for what is checked of the dims.

        Raises:
            ZooError: No camera, no state, dims that do not fit the data, a state or action that is too wide.
        """
        features = dict(self.input_features or {})  # type: ignore[has-type]
        self.input_features = {
            key: feature
            for key, feature in features.items()
            if key == OBS_STATE or (key in self.image_features and feature.shape[0] == 3)
        }
        super().validate_features()
        if not self.state_width:
            raise ZooError(
                "waypoints are states, but the data has no observation.state",
                got=f"input features {sorted(features)}",
                expected="a vector observation.state",
                do="use a dataset with proprioception, or map its name with --rename_map",
            )
        robot = self.robot
        robot.require_fit(self.state_width, self.action_width)
        _ = self.waypoint_rule  # also where kept waypoints are used: plans are scored by it
        for name, width in (("max_action_dim", self.action_width), ("max_state_dim", len(robot.planned))):
            if width > getattr(self, name):
                raise ZooError(
                    f"{name} is too small for this robot",
                    got=f"{getattr(self, name)} for {width} dims",
                    do=f"pass --policy.{name}={width}; the weights of added dims are new and must be trained",
                )

    def placed_statistics(self, stats: dict[str, Any]) -> dict[str, Any]:
        """Published files have the state's continuous dims alone; the others need no scale."""
        continuous = list(self.robot.continuous)
        state = stats.get(OBS_STATE, {})
        if not state or {len(np.atleast_1d(value)) for value in state.values()} != {len(continuous)}:
            return stats
        placed = {}
        for name, value in state.items():
            placed[name] = np.zeros(self.state_width)
            placed[name][continuous] = value
        return stats | {OBS_STATE: placed}

    @property
    def robot(self) -> RobotDims:
        """What each dim is; needs the features."""
        given = {
            "continuous": self.continuous_state_dims,
            "grippers": self.gripper_state_dims,
            "thresholds": self.gripper_state_thresholds,
            "ignored": self.ignored_state_dims,
            "action_grippers": self.gripper_action_dims,
            "convention": self.gripper_action_convention,
        }
        set_by_user = {name: value for name, value in given.items() if value is not None}
        if self.robot_preset is None:
            return free_dims(self.state_width, **set_by_user)  # type: ignore[arg-type]
        preset = PRESETS[self.robot_preset]
        if not LAYOUTS[self.token_layout][1]:
            # The older layout writes every state dim as a number.
            every = tuple(range(self.state_width))
            preset = replace(preset, continuous=every, grippers=(), thresholds=(), ignored=())
        lists = {
            name: tuple(value) if isinstance(value, list) else value for name, value in set_by_user.items()
        }
        return replace(preset, **lists)  # type: ignore[arg-type]

    @property
    def gripper_maps(self) -> dict[str, list[GripperMap]]:
        """Dims that the normaliser turns into 0 closed to 1 open."""
        robot = self.robot
        return {
            OBS_STATE: [
                GripperMap(dim, "threshold", threshold)
                for dim, threshold in zip(robot.grippers, robot.thresholds, strict=True)
            ],
            ACTION: [GripperMap(dim, robot.convention) for dim in robot.action_grippers],
        }

    @property
    def clip_normalized(self) -> bool:
        """Normalised states and actions are clipped to [-1, 1], as bins and published weights have them."""
        return True

    @property
    def layout(self) -> TokenLayout:
        """The tokens of a plan."""
        robot = self.robot
        top = VOCABULARIES[self.paligemma_variant][1]
        return TokenLayout(self.token_layout, top, len(robot.continuous), len(robot.grippers))

    @property
    def waypoint_rule(self) -> WaypointRule:
        """How waypoints are extracted from a training dataset.

        Raises:
            ZooError: A free configuration names no threshold.
        """
        robot = self.robot
        given = {"threshold": self.waypoint_threshold, "gripper_atol": self.waypoint_gripper_atol}
        changes = {name: value for name, value in given.items() if value is not None}
        if robot.convention == "unit":
            changes.setdefault("gripper_atol", UNIT_GRIPPER_ATOL)
        if self.robot_preset is not None:
            rule = replace(RULES[self.robot_preset], **changes)  # type: ignore[arg-type]
        elif self.waypoint_threshold is None:
            raise ZooError(
                "nothing says how close waypoints must follow the trajectory",
                got="neither robot_preset nor waypoint_threshold",
                expected="the largest distance of a frame to its segment, in raw units of the state",
                do="pass --policy.waypoint_threshold=0.01, or --policy.robot_preset",
            )
        else:
            rule = WaypointRule(
                arms=(robot.continuous,),
                gripper_dims=robot.action_grippers,
                **changes,  # type: ignore[arg-type]
            )
        if self.waypoint_arms is not None:
            rule = replace(rule, arms=tuple(tuple(arm) for arm in self.waypoint_arms))
        return replace(rule, gripper_dims=robot.action_grippers, max_duration=self.max_duration)

    @property
    def drop_n_last_frames(self) -> int:
        """LeRobot's sampler leaves an episode's last frame out: there is nothing to plan from it."""
        return 1

    @property
    def expert_gradient_scale(self) -> float:
        """Factor on the expert's gradient into PaliGemma's keys and values."""
        return {"none": 1.0, "scale": self.gradient_scale, "stop": 0.0, "freeze": 0.0}[self.gradient_strategy]

    def get_scheduler_preset(self) -> LRSchedulerConfig:
        if self.scheduler_milestones is not None:
            return MultistepSchedulerConfig(
                num_warmup_steps=self.scheduler_warmup_steps,
                milestones=self.scheduler_milestones,
                gamma=self.scheduler_gamma,
            )
        return OpenPICosineSchedulerConfig(
            num_warmup_steps=self.scheduler_warmup_steps,
            num_decay_steps=self.scheduler_decay_steps,
            peak_lr=self.optimizer_lr,
            decay_lr=self.scheduler_decay_lr,
        )
