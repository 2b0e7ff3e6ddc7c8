"""A blackboard between whatever policy acts and whoever watches its predictions.

LeRobot's `rollout` passes one action per row from policy to environment; the chunk it was cut from never
leaves the policy. So a policy announces every chunk it predicts (`publish_chunk`), its un-normalising
processor step announces how normalised actions become raw ones (`publish_decoder`), and an environment that
listens takes the raw chunk of its row. In each step of a rollout the order is

    preprocessor (state map) -> policy.select_action (chunk, plan) -> postprocessor (decoder) -> env.step

A policy that plans announces its plans too, in normalised states; the normalising step announces what those
are in raw units. One that writes its next subtask announces the token ids, and the step that makes its
prompts how they are read.

Without a listener publishing costs one comparison. Publishing never waits for the device: tensors are kept
and converted when taken. Policies that publish nothing are watched through their executed actions alone.

Shapes: R published rows, H steps of the chunk, A action dimensions, M waypoints of a plan, S state
dimensions.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation.plans import Plan

Decoder = Callable[[torch.Tensor], torch.Tensor]
TextDecoder = Callable[[Sequence[int]], str]


class StateMap(Protocol):
    """Between raw states (..., S) and those of the policy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raw to normalised."""

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """Normalised to raw."""


_listeners = 0
_chunk_by_row: dict[int, torch.Tensor] = {}
_plan_by_row: dict[int, Plan] = {}
_subtask_by_row: dict[int, Sequence[int]] = {}
_decoder: Decoder | None = None
_text_decoder: TextDecoder | None = None
_state_map: StateMap | None = None


def start() -> None:
    """Begin to listen; each call needs one `stop`."""
    global _listeners
    _listeners += 1


def stop() -> None:
    """End what one `start` began; the last one clears the board."""
    global _listeners, _decoder, _state_map, _text_decoder
    _listeners = max(0, _listeners - 1)
    if not _listeners:
        _chunk_by_row.clear()
        _plan_by_row.clear()
        _subtask_by_row.clear()
        _decoder = _state_map = _text_decoder = None


def listening() -> bool:
    """Whether anyone would take what is published."""
    return _listeners > 0


def publish_chunk(chunk_RHA: torch.Tensor, rows: Sequence[int], lengths: Sequence[int] | None = None) -> None:
    """Announce the chunks just predicted for some rows of the batch, in the policy's normalised units.

    Args:
        chunk_RHA: One predicted chunk per row, on any device. It is copied, so the caller may change it.
        rows: The batch rows they belong to, one per chunk.
        lengths: How many leading steps of each chunk mean something; None for all.

    Raises:
        ZooError: The number of rows differs from the number of chunks, or a length from their horizon.
    """
    if not _listeners:
        return
    if chunk_RHA.ndim != 3 or len(chunk_RHA) != len(rows):
        raise ZooError(
            "a published action chunk does not fit its rows",
            got=f"shape {tuple(chunk_RHA.shape)} for {len(rows)} rows",
            expected="(rows, horizon, action dimensions)",
        )
    horizon = chunk_RHA.shape[1]
    ends = [horizon] * len(rows) if lengths is None else [int(length) for length in lengths]
    if len(ends) != len(rows) or not all(1 <= end <= horizon for end in ends):
        raise ZooError(
            "the lengths of published action chunks do not fit them",
            got=ends,
            expected=f"{len(rows)} lengths from 1 to {horizon}",
        )
    for row, chunk_HA, end in zip(rows, chunk_RHA.detach().clone(), ends, strict=True):
        _chunk_by_row[int(row)] = chunk_HA[:end]


def publish_plan(plans: Sequence[Plan], rows: Sequence[int]) -> None:
    """Announce the plans just made for some rows of the batch.

    Raises:
        ZooError: The number of rows differs from the number of plans.
    """
    if not _listeners:
        return
    _require_one_per_row("plan", plans, rows)
    _plan_by_row.update(zip(map(int, rows), plans, strict=True))


def publish_subtasks(ids: Sequence[Sequence[int]], rows: Sequence[int]) -> None:
    """Announce the subtasks, as token ids, that the chunks of some rows follow.

    Raises:
        ZooError: The number of rows differs from the number of subtasks.
    """
    if not _listeners:
        return
    _require_one_per_row("subtask", ids, rows)
    _subtask_by_row.update(zip(map(int, rows), ids, strict=True))


def _require_one_per_row(what: str, given: Sequence[object], rows: Sequence[int]) -> None:
    if len(given) != len(rows):
        raise ZooError(
            f"published {what}s do not fit their rows",
            got=f"{len(given)} {what}s for {len(rows)} rows",
            expected=f"one {what} per row",
        )


def publish_text_decoder(decode: TextDecoder) -> None:
    """Announce how token ids become text."""
    global _text_decoder
    if _listeners:
        _text_decoder = decode


def take_subtask(row: int) -> str | None:
    """The subtask announced for a row since the last take; None without one.

    Raises:
        ZooError: One was announced, but not how its tokens are read.
    """
    ids = _subtask_by_row.pop(row, None)
    if ids is None:
        return None
    if _text_decoder is None:
        raise ZooError(
            "a policy published a subtask, but no processor step published how its tokens are read",
            expected="the step that makes prompts calls trace.publish_text_decoder",
        )
    return _text_decoder(ids)


def publish_state_map(state_map: StateMap) -> None:
    """Announce what normalised states are in raw units."""
    global _state_map
    if _listeners:
        _state_map = state_map


def state_map() -> StateMap | None:
    """What was announced last; None without a listener or a normalising step."""
    return _state_map


def publish_decoder(decode: Decoder) -> None:
    """Announce how actions in the policy's units, (..., A), become raw ones."""
    global _decoder
    if _listeners:
        _decoder = decode


def discard(row: int) -> None:
    """Forget chunk, plan and subtask of one row without decoding them (its episode starts anew)."""
    _chunk_by_row.pop(row, None)
    _plan_by_row.pop(row, None)
    _subtask_by_row.pop(row, None)


def take_plan(row: int) -> Plan | None:
    """The plan announced for a row since the last take."""
    return _plan_by_row.pop(row, None)


def take(row: int) -> np.ndarray | None:
    """The raw float32 (H, A) chunk announced for a row since the last take, as long as it means something.

    Returns:
        None where nothing was announced: the step was served from the policy's queue, or the policy
        publishes nothing.

    Raises:
        ZooError: A chunk was announced without a decoder, so that its units are unknown.
    """
    chunk_HA = _chunk_by_row.pop(row, None)
    if chunk_HA is None:
        return None
    if _decoder is None:
        raise ZooError(
            "a policy published an action chunk, but no processor step published its decoder",
            expected="the postprocessor's un-normalising step calls trace.publish_decoder before env.step",
        )
    with torch.inference_mode():
        return _decoder(chunk_HA).float().cpu().numpy()
