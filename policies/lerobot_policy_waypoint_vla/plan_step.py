"""The processor step that makes prompts and plans of normalised states.

Before it the state has all its dims, behind it those that are planned: numbers, then grippers.

Legend: B batch, S state dims, K planned ones, M waypoints, C candidate segments, L plan tokens,
X header tokens.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from lerobot.processor import ProcessorStepRegistry
from lerobot.utils.constants import OBS_STATE
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.tokenizer_step import TokenizerStep
from lerobot_policy_waypoint_vla.target_step import DURATION, REAL, TERMINAL
from lerobot_policy_waypoint_vla.tokens import (
    PLAN_HEADER,
    TokenLayout,
    bins_of,
    expert_prompt,
    planner_prompt,
)

HEADER_TOKENS = "observation.waypoint.header_tokens"  # (B, X) int64
EXPERT_TOKENS = "observation.waypoint.expert_tokens"  # (B, L') int64, padded on the right
EXPERT_MASK = "observation.waypoint.expert_mask"  # (B, L') bool
PLAN_TOKENS = "observation.waypoint.plan_tokens"  # (B, L) int64
PLAN_TARGETS = "observation.waypoint.plan_targets"  # (B, L) bool
SEGMENT_END = "observation.waypoint.segment_end"  # (B, C, K) float32


@dataclass
@ProcessorStepRegistry.register("waypoint_vla_plan_tokenizer")
class PlanTokenizerStep(TokenizerStep):
    """Writes the prompts of planner and expert, and in training the tokens of the plan.

    Args:
        layout: Name of the token layout.
        top: Highest id of a plan's tokens.
        continuous: State dims that are written as numbers.
        grippers: State dims that are written as open or closed.
        terminal_fill: Whether the slot that ends a plan repeats the last state and is learned (`last`), or
            holds zeros that are not (`zero`).
    """

    max_length: int = 128
    layout: str = "bins300"
    top: int = 257023
    continuous: list[int] = field(default_factory=list)
    grippers: list[int] = field(default_factory=list)
    terminal_fill: str = "last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._checked = False
        run = runtime.training_run()
        if run is None:
            return
        self.terminal_fill = run.config.terminal_fill
        asked = run.config.robot
        for name, stored, here in (
            ("token_layout", self.layout, run.config.token_layout),
            ("continuous_state_dims", list(self.continuous), list(asked.continuous)),
            ("gripper_state_dims", list(self.grippers), list(asked.grippers)),
        ):
            if stored != here:
                raise ZooError(
                    f"{name} cannot change on --policy.path: the weights belong to these tokens",
                    got=here,
                    expected=f"{stored}, as in the checkpoint",
                    do=f"leave --policy.{name} out, or start a new policy from other weights: "
                    "--policy.type=waypoint_vla --policy.init_from=...",
                )

    @cached_property
    def tokens(self) -> TokenLayout:
        """The tokens of a plan."""
        return TokenLayout(self.layout, self.top, len(self.continuous), len(self.grippers))

    def write(self, tasks: list[str], observation: dict[str, Any]) -> None:
        """Write both prompts, the plan's header and, in training, the plan."""
        state_BTK = self._planned(observation)
        observation[OBS_STATE] = state_BTK[:, 0]
        super().write(tasks, observation)
        prompts = [self._encode(expert_prompt(task)) for task in tasks]
        observation[EXPERT_TOKENS], observation[EXPERT_MASK] = self.padded(prompts)
        header_X = torch.tensor(self.tokenizer.encode(PLAN_HEADER))
        observation[HEADER_TOKENS] = header_X.repeat(len(tasks), 1)
        if DURATION in observation:
            self._write_plan(observation, state_BTK)

    def _planned(self, observation: dict[str, Any]) -> Tensor:
        """The planned dims of all states of a batch, (B, T, K); T is 1 when acting."""
        if OBS_STATE not in observation:
            raise ZooError(
                "the planner's prompt holds the robot's state, and there is none",
                got=f"observations {', '.join(sorted(observation)) or 'none'}",
                expected=OBS_STATE,
                do="map its name with --rename_map",
            )
        state = torch.as_tensor(observation[OBS_STATE])
        state_BTS = state[:, None] if state.ndim == 2 else state
        planned_BTK = state_BTS[..., [*self.continuous, *self.grippers]]
        if not torch.isfinite(planned_BTK).all():
            raise ZooError(
                f"{OBS_STATE} is not finite",
                got=f"{int((~torch.isfinite(planned_BTK)).sum())} values that are no numbers",
                expected="numbers",
                do="check the robot's sensors, or the dataset's state column",
            )
        return planned_BTK

    def _write_plan(self, observation: dict[str, Any], state_BTK: Tensor) -> None:
        """Replace the waypoints of a training batch by tokens, and keep the ends of its segments."""
        duration_BM, real_BM = observation.pop(DURATION).numpy(), observation.pop(REAL).numpy()
        terminal_BM = observation.pop(TERMINAL).numpy()
        slots = duration_BM.shape[1]
        observation[SEGMENT_END] = state_BTK[:, 1 + slots :]
        waypoint_BMK = state_BTK[:, 1 : 1 + slots].cpu().numpy().copy()
        states_learned = real_BM
        if self.terminal_fill == "last":
            states_learned = real_BM | terminal_BM
        else:
            waypoint_BMK[~real_BM] = 0.0
        observation[PLAN_TOKENS] = torch.from_numpy(self.tokens.encode(waypoint_BMK, duration_BM))
        learned = self.tokens.supervised(states_learned, real_BM | terminal_BM)
        observation[PLAN_TARGETS] = torch.from_numpy(learned)

    def token_rows(self, tasks: list[str], observation: dict[str, Any]) -> list[list[int]]:
        """Token ids of the planner's prompts.

        Raises:
            ZooError: The state is of another batch than the tasks; a prompt is too long.
        """
        state_BK = observation[OBS_STATE].cpu().numpy()
        if len(state_BK) != len(tasks):
            raise ZooError(
                f"{OBS_STATE} does not belong to the tasks of this batch",
                got=f"{len(state_BK)} states and {len(tasks)} tasks",
                expected="one task per row",
            )
        if not self._checked:
            self._check_all_tasks()
            self._checked = True
        count = len(self.continuous)
        numbers_BP = bins_of(state_BK[:, :count], self.tokens.bins)
        rows = [
            self._encode(planner_prompt(task, numbers.tolist(), (grippers > 0.5).tolist()))
            for task, numbers, grippers in zip(tasks, numbers_BP, state_BK[:, count:], strict=True)
        ]
        self.require_room(tasks, rows)
        return rows

    def _encode(self, text: str) -> list[int]:
        return [self.tokenizer.bos_id, *self.tokenizer.encode(text)]

    def _check_all_tasks(self) -> None:
        """Raise if any task of the training dataset could give too long a prompt."""
        run = runtime.training_run()
        if run is None:
            return
        tasks = [str(task) for task in run.meta.tasks.index]

        # Which number and which word take most tokens depends on the tokenizer.
        def length(number: int, is_open: bool) -> int:
            numbers, grippers = [number] * len(self.continuous), [is_open] * len(self.grippers)
            return len(self._encode(planner_prompt("", numbers, grippers)))

        number = max(range(self.tokens.bins), key=lambda number: length(number, True))
        is_open = max((True, False), key=lambda is_open: length(number, is_open))
        longest = [number] * len(self.continuous), [is_open] * len(self.grippers)
        self.require_room(tasks, [self._encode(planner_prompt(task, *longest)) for task in tasks])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "layout": self.layout,
            "top": self.top,
            "continuous": list(self.continuous),
            "grippers": list(self.grippers),
            "terminal_fill": self.terminal_fill,
        }
