"""What processor steps that tokenize prompts share: the tokenizer's file inside the checkpoint, padding.

Whether a tokenizer adds special tokens, cuts or pads depends on its files, so the steps put the ids
together themselves.

Legend: B batch, L tokens.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from lerobot.configs import FeatureType, PipelineFeatureType, PolicyFeature
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.processor import ProcessorStep
from lerobot.utils.constants import OBS_LANGUAGE_ATTENTION_MASK, OBS_LANGUAGE_TOKENS
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.text_tokenizer import (
    BYTE,
    TOKENIZER_FILE,
    ByteTokenizer,
    FileTokenizer,
    TextTokenizer,
    read_tokenizer_file,
)


@dataclass
class TokenizerStep(ProcessorStep):
    """Base of the steps that tokenize the task of each row; a step writes `token_rows`.

    Writes `observation.language.tokens` (B, L) int64 and `observation.language.attention_mask` (B, L) bool,
    padded on the right.

    Args:
        tokenizer_name: `byte`, a folder, or a hub id. Read once, when training starts; a checkpoint carries
            the file's bytes.
        max_length: Most tokens of a prompt.
        padding: `longest` row of the batch, or `max_length` for static shapes.
    """

    tokenizer_name: str = BYTE
    max_length: int = 77
    padding: str = "longest"

    def __post_init__(self) -> None:
        self._content: bytes | None = None
        run = runtime.training_run()
        if run is not None:
            # A fine-tuning run builds this step from the checkpoint's JSON; what it was asked for wins.
            self.max_length = run.config.prompt_max_len
            self.padding = run.config.tokenizer_padding
            asked = run.config.tokenizer_name
            if asked not in (None, self.tokenizer_name):
                raise ZooError(
                    "a checkpoint keeps its tokenizer, because its weights belong to those token ids",
                    got=f"--policy.tokenizer_name={asked}",
                    expected=self.tokenizer_name,
                    do="leave --policy.tokenizer_name out",
                )
        if self.padding not in ("longest", "max_length"):
            raise ZooError("unknown tokenizer_padding", got=self.padding, expected="longest or max_length")

    def token_rows(self, tasks: list[str], observation: dict[str, Any]) -> list[list[int]]:
        """Token ids of each row's prompt, at most `max_length`."""
        raise NotImplementedError

    def read_file(self, revision: str | None = None) -> Self:
        """Fetch the tokenizer's file now, so that training fails at its start if there is none."""
        if self.tokenizer_name != BYTE:
            self._content = read_tokenizer_file(self.tokenizer_name, revision)
        return self

    def require_vocabulary(self, table: int) -> None:
        """Raise if the tokenizer has more ids than the model's token table has rows."""
        if self.tokenizer.vocabulary > table:
            raise ZooError(
                f"the tokenizer {self.tokenizer_name} does not belong to this model",
                got=f"{self.tokenizer.vocabulary} token ids",
                expected=f"at most {table}, the rows of the model's token table",
                do="leave --policy.tokenizer_name out to use the one that belongs to the weights",
            )

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """Built at first use: loading a checkpoint stays cheap."""
        if self.tokenizer_name == BYTE:
            return ByteTokenizer()
        return FileTokenizer(self._content or read_tokenizer_file(self.tokenizer_name), self.tokenizer_name)

    def __call__(self, transition: EnvTransition) -> EnvTransition:
        new = transition.copy()
        tasks = (new.get(TransitionKey.COMPLEMENTARY_DATA) or {}).get("task")
        if isinstance(tasks, str):
            tasks = [tasks]
        if not tasks:
            raise ZooError(
                "there is no task text to make a prompt of",
                got="no 'task' beside the observation",
                expected="one instruction per row",
                do="use a dataset with tasks, or pass the task to the command that runs the policy",
            )
        observation = dict(new.get(TransitionKey.OBSERVATION) or {})
        self.write(list(tasks), observation)
        new[TransitionKey.OBSERVATION] = observation
        return new

    def write(self, tasks: list[str], observation: dict[str, Any]) -> None:
        """Write into an observation what becomes of its tasks."""
        tokens_BL, mask_BL = self.padded(self.token_rows(tasks, observation))
        observation[OBS_LANGUAGE_TOKENS], observation[OBS_LANGUAGE_ATTENTION_MASK] = tokens_BL, mask_BL

    def padded(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Token ids (B, L), padded on the right, and their mask (B, L)."""
        length = self.max_length if self.padding == "max_length" else max(map(len, rows))
        tokens_BL = torch.full((len(rows), length), self.tokenizer.pad_id, dtype=torch.long)
        mask_BL = torch.zeros(len(rows), length, dtype=torch.bool)
        for row, ids in enumerate(rows):
            tokens_BL[row, : len(ids)] = torch.tensor(ids)
            mask_BL[row, : len(ids)] = True
        return tokens_BL, mask_BL

    def require_room(self, tasks: list[str], rows: list[list[int]]) -> None:
        """Raise if a prompt is longer than `max_length`: for steps that never cut.

        Raises:
            ZooError: With the longest and its task.
        """
        ids, task = max(zip(rows, tasks, strict=True), key=lambda row: len(row[0]))
        if len(ids) > self.max_length:
            option = f"--policy.prompt_max_len={len(ids)}"
            training = runtime.training_run() is not None
            raise ZooError(
                "a prompt is too long, and prompts of this policy are never cut",
                got=f"up to {len(ids)} tokens for the task {task.strip()!r}",
                expected=f"at most prompt_max_len={self.max_length}",
                do=f"pass {option}" if training else f"shorten the task, or train with {option}",
            )

    def get_config(self) -> dict[str, Any]:
        return {
            "tokenizer_name": self.tokenizer_name,
            "max_length": self.max_length,
            "padding": self.padding,
        }

    def state_dict(self) -> dict[str, Tensor]:
        if self._content is None:
            return {}
        return {TOKENIZER_FILE: torch.from_numpy(np.frombuffer(self._content, dtype=np.uint8).copy())}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if TOKENIZER_FILE not in state:
            raise ZooError(
                "the checkpoint's prompt step has lost its tokenizer",
                got=f"a state with {', '.join(sorted(state)) or 'nothing'}",
                expected=TOKENIZER_FILE,
                do="copy the checkpoint again",
            )
        self._content = state[TOKENIZER_FILE].numpy().tobytes()

    def transform_features(self, features: Any) -> Any:
        observation = features[PipelineFeatureType.OBSERVATION]
        for key in (OBS_LANGUAGE_TOKENS, OBS_LANGUAGE_ATTENTION_MASK):
            observation.setdefault(key, PolicyFeature(type=FeatureType.LANGUAGE, shape=(self.max_length,)))
        return features
