"""Tokens of subtasks: what a policy that writes its next subtask learns to write.

    <bos> text <eos>    cleaned as tasks are; never cut: without its EOS a text would teach not to end

Legend: B batch, L tokens.
"""

from typing import Any

import torch
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.utils.constants import OBS_LANGUAGE_SUBTASK_ATTENTION_MASK, OBS_LANGUAGE_SUBTASK_TOKENS

from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.evaluation import trace
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.subtask_table import training_subtasks
from lerobot_plugins.processing.text_tokenizer import TextTokenizer

SUBTASK_ENDS = "observation.subtask.ends"  # (B, 2) int64: BOS and EOS


class SubtaskWriter:
    """Adds the tokens of subtasks to training batches, and to all batches what subtasks begin and end with.

    Args:
        tokenizer: Of the prompts.
        length: Most tokens of a subtask, BOS and EOS included.
        fixed: Pad to `length`, not to the longest of the batch.

    Raises:
        ZooError: The tokenizer has no EOS; in training, the dataset has no subtasks or one is too long.
    """

    def __init__(self, tokenizer: TextTokenizer, length: int, fixed: bool) -> None:
        self.tokenizer, self.length, self.fixed = tokenizer, length, fixed
        if tokenizer.eos_id is None:
            raise ZooError(
                "the tokenizer has no token that ends a text",
                expected="<eos>, as PaliGemma's has",
                do="pass --policy.subtask_prediction=false, or another --policy.tokenizer_name",
            )
        run = runtime.training_run()
        self.subtasks = None if run is None else training_subtasks(run.meta)
        if self.subtasks is not None:
            self._require_room(self.subtasks.texts)

    def encode(self, text: str) -> list[int]:
        """BOS, text, EOS."""
        assert self.tokenizer.eos_id is not None
        cleaned = text.strip().replace("_", " ").replace("\n", " ")
        return [self.tokenizer.bos_id, *self.tokenizer.encode(cleaned), self.tokenizer.eos_id]

    def _require_room(self, texts: tuple[str, ...]) -> None:
        """All subtasks of the dataset at once, so that no run fails at its thousandth step."""
        ids, text = max(((self.encode(text), text) for text in texts), key=lambda entry: len(entry[0]))
        if len(ids) > self.length:
            raise ZooError(
                "a subtask is too long, and subtasks are never cut",
                got=f"{len(ids)} tokens for {text!r}, begin and end included",
                expected=f"at most subtask_max_len={self.length}",
                do=f"pass --policy.subtask_max_len={len(ids)}",
            )

    def write(self, transition: EnvTransition, rows: int) -> None:
        """Add to the observation of a transition with so many rows."""
        observation = transition[TransitionKey.OBSERVATION]
        ends = torch.tensor([[self.tokenizer.bos_id, self.tokenizer.eos_id]])
        observation[SUBTASK_ENDS] = ends.repeat(rows, 1)
        trace.publish_text_decoder(self.tokenizer.decode)
        if self.subtasks is None or transition.get(TransitionKey.ACTION) is None:
            return
        data: dict[str, Any] = transition.get(TransitionKey.COMPLEMENTARY_DATA) or {}
        if "index" not in data:
            raise ZooError(
                "learning subtasks needs to know which frame each row is",
                got=f"a batch with {first_names(data)}",
                expected="index, as LeRobot's loader gives it",
                do="train with lerobot-train on a LeRobotDataset",
            )
        texts = self.subtasks.of(data["index"].cpu().numpy().ravel())
        ids = [self.encode(text) for text in texts]
        length = self.length if self.fixed else max(map(len, ids))
        tokens_BL = torch.full((rows, length), self.tokenizer.pad_id, dtype=torch.long)
        for tokens_L, row in zip(tokens_BL, ids, strict=True):
            tokens_L[: len(row)] = torch.tensor(row)
        count_B1 = torch.tensor([[len(row)] for row in ids])
        observation[OBS_LANGUAGE_SUBTASK_TOKENS] = tokens_BL
        observation[OBS_LANGUAGE_SUBTASK_ATTENTION_MASK] = torch.arange(length) < count_B1
