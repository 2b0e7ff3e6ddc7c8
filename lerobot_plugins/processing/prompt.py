"""The processor step that makes a prompt of the task, in PaliGemma's own format.

PaliGemma was trained on `<image>*N <bos> prompt \\n`. A plain call of its tokenizer loses the newline first
when it truncates; here the text is cut instead.
"""

import logging
import re
from dataclasses import dataclass
from typing import Any

from lerobot.processor import ProcessorStepRegistry

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.tokenizer_step import TokenizerStep

logger = logging.getLogger(__name__)


def clean_text(text: str) -> str:
    """One line of words: underscores, newlines and runs of blanks become single spaces; case is kept."""
    return re.sub(r"\s+", " ", text.replace("_", " ")).strip()


@dataclass
@ProcessorStepRegistry.register("zoo_prompt_tokenizer")
class PromptTokenizerStep(TokenizerStep):
    """Tokenize the task of each row as `<bos> prompt newline`.

    Prompts longer than `max_length`, BOS and newline included, are cut before the newline and named once in
    the log.

    Args:
        template: Text around `{task}`.
    """

    template: str = "{task}"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._cut: set[str] = set()
        run = runtime.training_run()
        if run is not None:
            self.template = run.config.prompt_template
        if "{task}" not in self.template:
            raise ZooError(
                "the prompt template has no place for the task", got=self.template, expected="{task}"
            )

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

    def token_rows(self, tasks: list[str], observation: dict[str, Any]) -> list[list[int]]:
        return [self.encode(task) for task in tasks]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"template": self.template}
