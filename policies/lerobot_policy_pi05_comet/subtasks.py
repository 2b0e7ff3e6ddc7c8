"""Subtasks of `pi05_comet`: PaliGemma writes what is to be done next, and the expert acts on it.

    pictures, prompt ending in "Subtask: " (bidirectional) | <bos> text <eos> (causal) | actions

What openpi-comet does differently, and what it costs there:

| here                                                | there                                                |
|-----------------------------------------------------|------------------------------------------------------|
| a BOS is fed first, in training and when writing    | writing begins at the prompt's end, never supervised |
| actions follow BOS, text and EOS, causal            | acting: no BOS, bidirectional                        |
| each row ends at its own EOS, the rest is masked    | rows write on until all end in the same step         |
| a text too long is refused before training          | cut, and its EOS lost                                |
| every frame has a text                              | frames without one are conditioned on none           |
| errors are averaged over all tokens of the batch    | once: means of rows were averaged                    |

Legend: B batch, S prefix tokens, L subtask tokens, D width, R rows that are asked for now.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from lerobot.utils.constants import OBS_LANGUAGE_SUBTASK_ATTENTION_MASK, OBS_LANGUAGE_SUBTASK_TOKENS
from torch import Tensor

from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.evaluation import trace
from lerobot_plugins.nn.prefix_encoder import Prefix, PrefixEncoder
from lerobot_plugins.nn.text_head import TextErrors, learn_text, write_text
from lerobot_plugins.processing.subtask_tokens import SUBTASK_ENDS


class HeldSubtasks:
    """What each environment is doing, between predictions.

    Args:
        refresh: A subtask is written anew at every so manieth prediction of its row.

    Attributes:
        text_of: Row -> token ids of its subtask, without BOS and EOS.
    """

    def __init__(self, refresh: int) -> None:
        self.refresh = refresh
        self.text_of: dict[int, list[int]] = {}
        self._age: dict[int, int] = {}
        self._rows: list[int] | None = None

    def clear(self) -> None:
        """Forget; every row writes at its next prediction."""
        self.text_of, self._age = {}, {}

    @contextlib.contextmanager
    def rows(self, rows: list[int]) -> Iterator[None]:
        """Around a prediction for some rows of a batch."""
        self._rows = rows
        try:
            yield
        finally:
            self._rows = None

    def recall(self, count: int) -> list[list[int] | None]:
        """For each row of a prediction the subtask that still counts; None for one that is to be written."""
        return [
            self.text_of[row] if self._age.get(row, self.refresh) < self.refresh else None
            for row in self._of(count)
        ]

    def keep(self, texts: list[list[int]]) -> None:
        """What the rows of `recall` do from now on; it is announced to who watches."""
        for row, text in zip(self._of(len(texts)), texts, strict=True):
            written = self._age.get(row, self.refresh) >= self.refresh
            self.text_of[row], self._age[row] = text, 1 if written else self._age[row] + 1
        trace.publish_subtasks(texts, self._of(len(texts)))

    def _of(self, count: int) -> list[int]:
        return self._rows if self._rows is not None else list(range(count))


def learn_subtasks(
    encoder: PrefixEncoder, batch: dict[str, Any], x_BSD: Tensor, mask_BS: Tensor
) -> tuple[TextErrors, Prefix]:
    """Errors of a training batch's subtasks, and the prefix with them.

    Raises:
        ZooError: The batch has none.
    """
    if OBS_LANGUAGE_SUBTASK_TOKENS not in batch:
        raise ZooError(
            "the batch holds no subtasks to learn",
            got=f"keys {first_names(batch)}",
            expected=OBS_LANGUAGE_SUBTASK_TOKENS,
            do="train with lerobot-train on a LeRobotDataset with subtasks",
        )
    text = batch[OBS_LANGUAGE_SUBTASK_TOKENS], batch[OBS_LANGUAGE_SUBTASK_ATTENTION_MASK]
    return learn_text(encoder, x_BSD, mask_BS, *text)


def subtask_logs(errors: TextErrors) -> dict[str, Tensor]:
    """The subtasks' mean error, the share of right tokens, and that of subtasks right to the last token."""
    count = errors.real_BL.sum()
    return {
        "loss_subtask": errors.error_BL.detach().sum() / count,
        "accuracy_subtask": errors.right_BL.sum() / count,
        "accuracy_whole_subtask": (errors.right_BL | ~errors.real_BL).all(dim=1).float().mean(),
    }


def write_subtasks(
    encoder: PrefixEncoder,
    prefix: Prefix,
    batch: dict[str, Any],
    room: int,
    given: list[list[int] | None],
) -> tuple[list[list[int]], Prefix]:
    """The subtasks of a batch, written where none is given, and the prefix with them; see `write_text`."""
    bos, eos = batch[SUBTASK_ENDS][0].tolist()
    return write_text(encoder, prefix, bos, eos, room, given)


def require_prompt_for(config: Any, batch: dict[str, Any]) -> None:
    """Refuse prompts that ask for a subtask where none is written, and the other way round.

    Raises:
        ZooError: subtask_prediction was changed for a policy that acts.
    """
    asked = SUBTASK_ENDS in batch
    if asked != config.subtask_prediction:
        raise ZooError(
            "subtask_prediction is not what the policy's preprocessor was made for",
            got=f"subtask_prediction={config.subtask_prediction}",
            expected=asked,
            do="leave --policy.subtask_prediction out when acting; lerobot-train changes both",
        )
