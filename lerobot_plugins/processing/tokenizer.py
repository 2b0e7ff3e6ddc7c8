"""Prompt text to token ids, with the tokenizer's files inside the checkpoint.

PaliGemma was trained on `<image>*N <bos> prompt \\n`. The ids are put together here, because whether a
tokenizer adds BOS depends on its files, and a plain call loses the newline first when it truncates.

Legend: B batch, L tokens.
"""

import logging
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from lerobot.configs import FeatureType, PipelineFeatureType, PolicyFeature
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.processor import ProcessorStep, ProcessorStepRegistry
from lerobot.utils.constants import OBS_LANGUAGE_ATTENTION_MASK, OBS_LANGUAGE_TOKENS
from tokenizers import Tokenizer
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime

logger = logging.getLogger(__name__)

BYTE = "byte"
TOKENIZER_FILE = "tokenizer.json"


def clean_text(text: str) -> str:
    """One line of words: underscores, newlines and runs of blanks become single spaces; case is kept."""
    return re.sub(r"\s+", " ", text.replace("_", " ")).strip()


class TextTokenizer(Protocol):
    """What a prompt needs of a tokenizer."""

    pad_id: int
    bos_id: int
    newline_id: int
    vocabulary: int

    def encode(self, text: str) -> list[int]:
        """Token ids without special tokens."""


class ByteTokenizer:
    """One token per UTF-8 byte, three special ones before them. For the tiny preset; needs no file."""

    pad_id, eos_id, bos_id = 0, 1, 2
    offset = 3
    newline_id = ord("\n") + offset
    vocabulary = 256 + offset

    def encode(self, text: str) -> list[int]:
        return [byte + self.offset for byte in text.encode()]


class FileTokenizer:
    """A Hugging Face `tokenizer.json` with the special tokens of Gemma.

    Args:
        content: The bytes of the file.
        source: Where they come from, for messages.

    Raises:
        ZooError: The bytes are no tokenizer, or it lacks a token that the prompt needs.
    """

    def __init__(self, content: bytes, source: str) -> None:
        try:
            self._tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the library raises bare Exception
            raise ZooError(
                f"{source} is not a tokenizer", got=str(error), expected=f"a Hugging Face {TOKENIZER_FILE}"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        newline = self.encode("\n")
        ids = {
            "<pad>": self._tokenizer.token_to_id("<pad>"),
            "<bos>": self._tokenizer.token_to_id("<bos>"),
            "a newline": newline[0] if len(newline) == 1 else None,
        }
        missing = [name for name, value in ids.items() if value is None]
        if missing:
            raise ZooError(
                f"the tokenizer of {source} lacks tokens that the prompt needs",
                got=f"no single token for {', '.join(missing)}",
                expected="Gemma's special tokens and a newline token",
                do="set --policy.tokenizer_name to PaliGemma's tokenizer",
            )
        self.pad_id, self.bos_id, self.newline_id = ids.values()
        self.vocabulary = self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def read_tokenizer_file(name: str, revision: str | None = None) -> bytes:
    """The bytes of `tokenizer.json` in a folder, or of a model on the Hub at a revision.

    Raises:
        ZooError: Neither is there; says how to get it.
    """
    folder = Path(name)
    if folder.is_dir():
        path = folder / TOKENIZER_FILE
        if path.is_file():
            return path.read_bytes()
        found = sorted(entry.name for entry in folder.iterdir())
        reason = f"the folder holds {', '.join(found) or 'nothing'}"
    else:
        try:
            return Path(hf_hub_download(name, TOKENIZER_FILE, revision=revision)).read_bytes()
        except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
    raise ZooError(
        f"the tokenizer {name} cannot be found",
        got=reason,
        expected=f"a folder with {TOKENIZER_FILE}, or a model on the Hub that is cached or can be downloaded",
        do=f"with network, run `hf download {name} {TOKENIZER_FILE}` once (accept the licence first), or set "
        f"--policy.tokenizer_name=FOLDER; the tiny preset uses --policy.tokenizer_name={BYTE}",
    )


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
