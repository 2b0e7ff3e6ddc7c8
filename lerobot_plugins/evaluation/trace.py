"""A blackboard between whatever policy acts and whoever watches its predictions.

LeRobot's `rollout` passes one action per row from policy to environment; the chunk it was cut from never
leaves the policy. So a policy announces every chunk it predicts (`publish_chunk`), its un-normalising
processor step announces how normalised actions become raw ones (`publish_decoder`), and an environment that
listens takes the raw chunk of its row. In each step of a rollout the order is

    policy.select_action (chunk) -> postprocessor (decoder) -> env.step (take)

Without a listener publishing costs one comparison. Publishing never waits for the device: tensors are kept
and converted when taken. Policies that publish nothing are watched through their executed actions alone.

Shapes: R published rows, H steps of the chunk, A action dimensions.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from lerobot_plugins.errors import ZooError

Decoder = Callable[[torch.Tensor], torch.Tensor]

_listeners = 0
_chunk_by_row: dict[int, torch.Tensor] = {}
_decoder: Decoder | None = None


def start() -> None:
    """Begin to listen; each call needs one `stop`."""
    global _listeners
    _listeners += 1


def stop() -> None:
    """End what one `start` began; the last one clears the board."""
    global _listeners, _decoder
    _listeners = max(0, _listeners - 1)
    if not _listeners:
        _chunk_by_row.clear()
        _decoder = None


def listening() -> bool:
    """Whether anyone would take what is published."""
    return _listeners > 0


def publish_chunk(chunk_RHA: torch.Tensor, rows: Sequence[int]) -> None:
    """Announce the chunks just predicted for some rows of the batch, in the policy's normalised units.

    Args:
        chunk_RHA: One predicted chunk per row, on any device. It is copied, so the caller may change it.
        rows: The batch rows they belong to, one per chunk.

    Raises:
        ZooError: The number of rows differs from the number of chunks.
    """
    if not _listeners:
        return
    if chunk_RHA.ndim != 3 or len(chunk_RHA) != len(rows):
        raise ZooError(
            "a published action chunk does not fit its rows",
            got=f"shape {tuple(chunk_RHA.shape)} for {len(rows)} rows",
            expected="(rows, horizon, action dimensions)",
        )
    copy_RHA = chunk_RHA.detach().clone()
    _chunk_by_row.update(zip((int(row) for row in rows), copy_RHA, strict=True))


def publish_decoder(decode: Decoder) -> None:
    """Announce how actions in the policy's units, (..., A), become raw ones."""
    global _decoder
    if _listeners:
        _decoder = decode


def discard(row: int) -> None:
    """Forget the chunk of one row without decoding it (its episode starts anew)."""
    _chunk_by_row.pop(row, None)


def take(row: int) -> np.ndarray | None:
    """The raw float32 (H, A) chunk announced for a row since the last take.

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
