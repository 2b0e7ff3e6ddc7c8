"""Rows of preprocessed batches."""

from typing import Any

import torch
from lerobot.utils.constants import ACTION, OBS_LANGUAGE_ATTENTION_MASK, OBS_LANGUAGE_TOKENS
from torch import Tensor

from lerobot_plugins.errors import ZooError, first_names


def valid_actions(batch: dict[str, Any]) -> Tensor:
    """(B, H) bool: actions that lie inside their episode."""
    padded = batch.get(f"{ACTION}_is_pad")
    action = batch[ACTION]
    if padded is None:
        return torch.ones(action.shape[:2], dtype=torch.bool, device=action.device)
    return ~padded.to(action.device).bool()


def batch_size(batch: dict[str, Any]) -> int:
    """Rows of a batch, read off its first observation tensor."""
    for key, value in batch.items():
        if key.startswith("observation.") and isinstance(value, Tensor):
            return value.shape[0]
    raise ZooError("the batch holds no observation", got=sorted(batch), expected="keys observation.*")


def select_rows(batch: dict[str, Any], rows: list[int], size: int) -> dict[str, Any]:
    """The same batch with some of its rows; what is not per row is passed on."""
    part: dict[str, Any] = {}
    for key, value in batch.items():
        if isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == size:
            part[key] = value[rows]
        elif isinstance(value, list) and len(value) == size:
            part[key] = [value[row] for row in rows]
        else:
            part[key] = value
    return part


def prompt_tokens(batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Token ids (B, L) of the prompts and their mask (B, L).

    Raises:
        ZooError: The batch did not pass the policy's preprocessor.
    """
    if OBS_LANGUAGE_TOKENS not in batch:
        raise ZooError(
            "the batch has no prompt tokens",
            got=f"keys {first_names(batch)}",
            expected=OBS_LANGUAGE_TOKENS,
            do="run the policy's preprocessor on the batch first",
        )
    return batch[OBS_LANGUAGE_TOKENS], batch[OBS_LANGUAGE_ATTENTION_MASK]
