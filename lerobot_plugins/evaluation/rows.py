"""Evaluated episodes as flat tables, so that every grouping of errors is a mask.

Both views of an evaluation, the executed trajectory and the predicted chunks, are N rows: a prediction made
at frame `origin` for frame `target`. Horizon step, task, episode and the baselines follow from the two.

Shapes: F frames of all episodes one after the other, N rows, A action dimensions, C chunks of H steps.
"""

from dataclasses import dataclass

import numpy as np

from lerobot_plugins.evaluation.episodes import Episode


@dataclass(frozen=True)
class Frames:
    """All evaluated frames, episode after episode."""

    recorded_FA: np.ndarray
    hold_FA: np.ndarray | None
    episode_F: np.ndarray
    step_F: np.ndarray
    task_F: np.ndarray

    @classmethod
    def of(cls, episodes: list[Episode]) -> "Frames":
        lengths = [len(episode.task_T) for episode in episodes]
        holds = [episode.hold_TA for episode in episodes if episode.hold_TA is not None]
        return cls(
            recorded_FA=_stack([episode.recorded_TA for episode in episodes]),
            hold_FA=_stack(holds) if len(holds) == len(episodes) else None,
            episode_F=np.repeat([episode.index for episode in episodes], lengths),
            step_F=np.concatenate([np.arange(length) for length in lengths]),
            task_F=np.concatenate([episode.task_T for episode in episodes]),
        )


@dataclass(frozen=True)
class Rows:
    """Predictions, each made at frame `origin` for frame `target` (indices into the F frames)."""

    origin_N: np.ndarray
    target_N: np.ndarray
    predicted_NA: np.ndarray

    def __getitem__(self, keep_N: np.ndarray) -> "Rows":
        return Rows(self.origin_N[keep_N], self.target_N[keep_N], self.predicted_NA[keep_N])

    def replaced(self, predicted_NA: np.ndarray) -> "Rows":
        return Rows(self.origin_N, self.target_N, predicted_NA)


def executed_rows(episodes: list[Episode]) -> Rows:
    """Each frame's executed action."""
    predicted_FA = _stack([episode.predicted_TA for episode in episodes])
    frames = np.arange(len(predicted_FA))
    return Rows(frames, frames, predicted_FA)


def chunk_rows(episodes: list[Episode]) -> Rows | None:
    """Each step of each chunk that means something and lies inside its episode."""
    parts, first = [], 0
    for episode in episodes:
        chunks, horizon = episode.chunk_CHA.shape[:2]
        target_CH = episode.chunk_start_C[:, None] + np.arange(horizon)
        meant_CH = np.arange(horizon) < episode.chunk_lengths[:, None]
        inside_CH = (target_CH < len(episode.task_T)) & meant_CH
        origin_CH = np.broadcast_to(episode.chunk_start_C[:, None], (chunks, horizon))
        parts.append(
            Rows(
                first + origin_CH[inside_CH],
                first + target_CH[inside_CH],
                episode.chunk_CHA[inside_CH].astype(np.float64),
            )
        )
        first += len(episode.task_T)
    if not any(len(part.origin_N) for part in parts):
        return None
    return Rows(
        np.concatenate([part.origin_N for part in parts]),
        np.concatenate([part.target_N for part in parts]),
        np.concatenate([part.predicted_NA for part in parts]),
    )


def _stack(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.float64)
