"""The processor step that makes a prompt of the task, with the tokenizer's file inside the checkpoint.

PaliGemma was trained on `<image>*N <bos> prompt \\n`. The ids are put together here, because whether a
tokenizer adds BOS depends on its files, and a plain call loses the newline first when it truncates.

Legend: B batch, L tokens.
"""

import logging
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from lerobot.configs import FeatureType, PipelineFeatureType, PolicyFeature
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.processor import ProcessorStep, ProcessorStepRegistry
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

logger = logging.getLogger(__name__)


def clean_text(text: str) -> str:
    """One line of words: underscores, newlines and runs of blanks become single spaces; case is kept."""
    return re.sub(r"\s+", " ", text.replace("_", " ")).strip()


@dataclass
@ProcessorStepRegistry.register("zoo_prompt_tokenizer")
class PromptTokenizerStep(ProcessorStep):
    """Tokenize the task of each row as `<bos> prompt newline`, padded on the right.

    Writes `observation.language.tokens` (B, L) int64 and `observation.language.attention_mask` (B, L) bool.

    Args:
        tokenizer_name: `byte`, a folder, or a hub id. Read once, when training starts; a checkpoint carries
            the file's bytes.
        max_length: Most tokens of a prompt, BOS and newline included. Longer ones are cut before the newline
            and named once in the log.
        padding: `longest` row of the batch, or `max_length` for static shapes.
        template: Text around `{task}`.
    """

    tokenizer_name: str = BYTE
    max_length: int = 77
    padding: str = "longest"
    template: str = "{task}"

    def __post_init__(self) -> None:
        self._content: bytes | None = None
        self._cut: set[str] = set()
        run = runtime.training_run()
        if run is not None:
            # A fine-tuning run builds this step from the checkpoint's JSON; what it was asked for wins.
            self.max_length = run.config.prompt_max_len
            self.padding = run.config.tokenizer_padding
            self.template = run.config.prompt_template
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
        if "{task}" not in self.template:
            raise ZooError(
                "the prompt template has no place for the task", got=self.template, expected="{task}"
            )

    def read_file(self, revision: str | None = None) -> "PromptTokenizerStep":
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

    def encode(self, task: str) -> list[int]:
        """Token ids of one prompt."""
        text = clean_text(self.template.replace("{task}", task))
        ids = self.tokenizer.encode(text)
        room = self.max_length - 2
        if len(ids) > room and text not in self._cut:
            self._cut.add(text)
            logger.warning(
                "a prompt has %d tokens and is cut to %d: %r; raise --policy.prompt_max_len",
                len(ids),
                room,
                text,
            )
        return [self.tokenizer.bos_id, *ids[:room], self.tokenizer.newline_id]

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
        rows = [self.encode(task) for task in tasks]
        length = self.max_length if self.padding == "max_length" else max(map(len, rows))
        tokens_BL = torch.full((len(rows), length), self.tokenizer.pad_id, dtype=torch.long)
        mask_BL = torch.zeros(len(rows), length, dtype=torch.bool)
        for row, ids in enumerate(rows):
            tokens_BL[row, : len(ids)] = torch.tensor(ids)
            mask_BL[row, : len(ids)] = True
        observation = dict(new.get(TransitionKey.OBSERVATION) or {})
        observation[OBS_LANGUAGE_TOKENS] = tokens_BL
        observation[OBS_LANGUAGE_ATTENTION_MASK] = mask_BL
        new[TransitionKey.OBSERVATION] = observation
        return new

    def get_config(self) -> dict[str, Any]:
        return {
            "tokenizer_name": self.tokenizer_name,
            "max_length": self.max_length,
            "padding": self.padding,
            "template": self.template,
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
