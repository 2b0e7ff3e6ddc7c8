"""Control modes: how overlapping chunks become actions.

    receding_horizon     a chunk is executed to its end, then the next is predicted
    temporal_ensemble    a chunk is predicted at every step; what the latest ones say about now is averaged
    receding_temporal    the same, with a chunk predicted every few steps only

The averaged modes follow the deployment wrapper of openpi-comet, with two differences: grippers come from the
newest chunk in both, and an error in prediction is raised instead of answered by an old action.
Un-normalisation is affine and the weights sum to one, so averaging normalised actions is exact.

Legend: B environments, H chunk length, N stored chunks, A action dims.
"""

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from lerobot_plugins.policy.queues import ActionQueues

CONTROL_MODES = ("receding_horizon", "temporal_ensemble", "receding_temporal")
# Chunks that are averaged where the configuration does not say.
ENSEMBLE_SIZES = {"temporal_ensemble": 5, "receding_temporal": 3}


class ChunkEnsemble:
    """One environment's latest chunks, averaged action by action.

    Args:
        size: Chunks that are kept; the oldest gives way.
        interval: Steps between predictions; earlier only where no chunk has an action left.
        decay: Chunk i, counted from the oldest, weighs exp(decay * i): above 0 newer ones weigh more.
        newest_dims: Dimensions that are taken from the newest chunk instead of averaged. The mean of an open
            and a closed gripper is neither.
    """

    def __init__(self, size: int, interval: int, decay: float, newest_dims: Sequence[int]) -> None:
        self._chunks: deque[Tensor] = deque(maxlen=size)
        self._interval, self._decay, self._newest_dims = interval, decay, list(newest_dims)
        self._age = 0  # steps since the last chunk

    def dry(self) -> bool:
        return not self._chunks or self._age >= self._interval

    def push(self, actions_HA: Tensor) -> None:
        self._chunks.append(actions_HA)
        self._age = 0

    def pop(self) -> Tensor:
        now_NA = torch.stack([chunk_HA[0] for chunk_HA in self._chunks])
        rank_N = torch.arange(len(now_NA), dtype=now_NA.dtype, device=now_NA.device)
        weight_N = torch.softmax(self._decay * rank_N, dim=0)
        action_A = (weight_N[:, None] * now_NA).sum(dim=0)
        action_A[self._newest_dims] = now_NA[-1, self._newest_dims]
        rest = (chunk_HA[1:] for chunk_HA in self._chunks)
        self._chunks = deque((chunk_HA for chunk_HA in rest if len(chunk_HA)), self._chunks.maxlen)
        self._age += 1
        return action_A


def make_queues(
    mode: str, *, interval: int, size: int | None, decay: float, newest_dims: Sequence[int]
) -> ActionQueues:
    """The queues of a control mode; `ZooPolicy.make_queues` returns them.

    Args:
        mode: One of `CONTROL_MODES`.
        interval: Steps between predictions of receding_temporal.
        size: Chunks that are averaged; None takes the mode's own number.
        decay: See `ChunkEnsemble`, likewise `newest_dims`.
    """
    if mode == "receding_horizon":
        return ActionQueues()
    steps = 1 if mode == "temporal_ensemble" else interval
    return ActionQueues(lambda: ChunkEnsemble(size or ENSEMBLE_SIZES[mode], steps, decay, newest_dims))
