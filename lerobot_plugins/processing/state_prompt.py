"""The processor step that makes pi0.5's prompt of the task and the robot's state.

    <bos>Task: {text}, State: {integers};\\nAction:␣

The integers are the normalised state in 256 bins. Text and layout are openpi's to the character, because
its weights were trained on those tokens: the whole prompt is encoded at once, case and runs of blanks are
kept, and no newline ends it. Nothing is ever cut: the end of the prompt is the state and the marker. For a
policy that writes its next subtask before it acts, the marker is `Subtask:`.

Legend: B batch, T observation steps, D state dims.
"""

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.processor import ProcessorStepRegistry
from lerobot.utils.constants import OBS_LANGUAGE_TOKENS, OBS_STATE

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.subtask_tokens import SubtaskWriter
from lerobot_plugins.processing.tokenizer_step import TokenizerStep

logger = logging.getLogger(__name__)

BINS = np.linspace(-1, 1, 257)[:-1]


def clean_task(text: str) -> str:
    """openpi's cleaning: strip, then underscores and newlines become spaces."""
    return text.strip().replace("_", " ").replace("\n", " ")


def state_integers(state: np.ndarray) -> np.ndarray:
    """The bin of each normalised value: 0..255 for [-1, 1], -1 below, 255 above."""
    return np.digitize(state, BINS) - 1


@dataclass
@ProcessorStepRegistry.register("zoo_state_prompt_tokenizer")
class StatePromptTokenizerStep(TokenizerStep):
    """Tokenize each row's task and state, which an earlier step has normalised and not yet padded.

    At its first use in training, the prompts of all tasks of the dataset are checked with the longest
    state there can be, so that no run fails at its thousandth step.

    Args:
        max_length: Most tokens of a prompt; a longer one is an error.
        discrete_state: Put the state into the prompt. False is openpi's format of policies without it:
            the text, then a newline token.
        state_key: The observation that holds the state, (B, D), or (B, T, D) with the current step last.
        subtask_length: Most tokens of a subtask, BOS and EOS included; 0 for policies that write none.
    """

    max_length: int = 512
    discrete_state: bool = True
    state_key: str = OBS_STATE
    subtask_length: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._checked = False
        run = runtime.training_run()
        if run is None:
            return
        if run.config.discrete_state_input and not self.discrete_state:
            raise ZooError(
                "the checkpoint's prompts hold no state, so its pipeline does not normalise any",
                got="--policy.discrete_state_input=true",
                expected="false, as in the checkpoint",
                do="leave the option out, or start a fresh policy from its weights: "
                f"--policy.type={run.config.type} --policy.init_from=CHECKPOINT",
            )
        self.discrete_state = run.config.discrete_state_input
        self.subtask_length = run.config.subtask_room

    @cached_property
    def subtasks(self) -> SubtaskWriter:
        """Writes the tokens of subtasks."""
        return SubtaskWriter(self.tokenizer, self.subtask_length, fixed=self.padding == "max_length")

    def __call__(self, transition: EnvTransition) -> EnvTransition:
        new = super().__call__(transition)
        if self.subtask_length:
            self.subtasks.write(new, len(new[TransitionKey.OBSERVATION][OBS_LANGUAGE_TOKENS]))
        return new

    def text(self, task: str, integers: list[int] | None) -> str:
        """One prompt; None is a prompt without state."""
        task = clean_task(task)
        if integers is None:
            return task
        marker = "Subtask" if self.subtask_length else "Action"
        return f"Task: {task}, State: {' '.join(map(str, integers))};\n{marker}: "

    def encode(self, task: str, integers: list[int] | None) -> list[int]:
        """Token ids of one prompt, however many."""
        end = [self.tokenizer.newline_id] if integers is None else []
        return [self.tokenizer.bos_id, *self.tokenizer.encode(self.text(task, integers)), *end]

    def token_rows(self, tasks: list[str], observation: dict[str, Any]) -> list[list[int]]:
        """Token ids of each row.

        Raises:
            ZooError: The state is missing, not finite or of another batch; a prompt is too long.
        """
        states = self._states(observation, len(tasks)) if self.discrete_state else [None] * len(tasks)
        if not self._checked:
            self._check_all_tasks(None if states[0] is None else len(states[0]))
            logger.info("the first prompt: %r", self.text(tasks[0], states[0]))
            self._checked = True
        rows = [self.encode(task, integers) for task, integers in zip(tasks, states, strict=True)]
        self.require_room(tasks, rows)
        return rows

    def _states(self, observation: dict[str, Any], rows: int) -> list[list[int]]:
        if self.state_key not in observation:
            raise ZooError(
                "the prompt of this policy holds the robot's state, and there is none",
                got=f"observations {', '.join(sorted(observation)) or 'none'}",
                expected=self.state_key,
                do="map its name with --rename_map, or train with --policy.discrete_state_input=false",
            )
        state = observation[self.state_key]
        state_BD = (state[:, -1] if state.ndim == 3 else state).detach().to("cpu", torch.float64).numpy()
        if state_BD.ndim != 2 or len(state_BD) != rows:
            raise ZooError(
                f"{self.state_key} does not belong to the tasks of this batch",
                got=f"shape {tuple(state.shape)} and {rows} tasks",
                expected="(rows, dims) or (rows, steps, dims), one task per row",
            )
        broken = np.argwhere(~np.isfinite(state_BD))
        if len(broken):
            row, dim = broken[0]
            raise ZooError(
                f"{self.state_key} is not finite",
                got=f"{state_BD[row, dim]} in dimension {dim} of row {row}"
                + (f", {len(broken)} such values in all" if len(broken) > 1 else ""),
                expected="numbers",
                do="check the robot's sensors; for a dataset run `lerobot-plugins doctor --repo-id=...`",
            )
        return state_integers(state_BD).tolist()

    def _check_all_tasks(self, width: int | None) -> None:
        """Raise if any task of the training dataset could give too long a prompt."""
        run = runtime.training_run()
        if run is None:
            return
        longest = None
        if width is not None:
            # Which integer takes most tokens depends on the tokenizer.
            states = ([value] * width for value in range(-1, len(BINS)))
            longest = max(states, key=lambda state: len(self.encode("", state)))
        tasks = list(run.meta.tasks.index)
        self.require_room(tasks, [self.encode(task, longest) for task in tasks])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "discrete_state": self.discrete_state,
            "state_key": self.state_key,
            "subtask_length": self.subtask_length,
        }
