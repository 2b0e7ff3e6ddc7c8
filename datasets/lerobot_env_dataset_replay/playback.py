"""One episode while it is played: where it stands and what was predicted so far.

Shapes: T frames, A action dimensions, C chunks, H steps of the longest one.
"""

from typing import Any

import numpy as np

from lerobot_env_dataset_replay.observations import PIXELS
from lerobot_env_dataset_replay.planning import PlanLog
from lerobot_env_dataset_replay.recording import RecordedEpisode
from lerobot_env_dataset_replay.rendering import side_by_side
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.evaluation.episodes import Episode

# How many camera pictures an episode keeps for the report, and how high they are.
PICTURES, PICTURE_HEIGHT = 5, 128


class Playback:
    """Collects the predictions of one episode.

    Args:
        recorded: The episode.
        action_names: One name per action dimension.
        keep_pictures: Whether camera pictures are kept for the report.
    """

    def __init__(self, recorded: RecordedEpisode, action_names: list[str], keep_pictures: bool) -> None:
        self.recorded = recorded
        self.frame = 0
        self.observation: dict[str, Any] = {}
        self.predicted_TA = np.full(recorded.action_TA.shape, np.nan, np.float32)
        self.chunks: list[tuple[int, np.ndarray]] = []
        self.plans = PlanLog(recorded)
        self.subtasks: list[tuple[int, str]] = []
        self._action_names = action_names
        self._pictures: list[tuple[int, np.ndarray]] = []
        self._picture_frames = set(
            np.linspace(0, len(recorded) - 1, PICTURES if keep_pictures else 0, dtype=int)
        )

    @property
    def at_last_frame(self) -> bool:
        return self.frame == len(self.recorded) - 1

    @property
    def cameras(self) -> list[np.ndarray]:
        """The current camera images, (H, W, C) uint8."""
        return list(self.observation.get(PIXELS, {}).values())

    def show(self, observation: dict[str, Any], frame: int) -> None:
        """Move to a frame and its observation."""
        self.frame, self.observation = frame, observation
        if frame in self._picture_frames and self.cameras:
            self._pictures.append((frame, side_by_side(self.cameras, PICTURE_HEIGHT)))

    def execute(self, action_A: np.ndarray) -> float:
        """Keep the action executed at the current frame.

        Returns:
            Its mean absolute error against the recorded one, raw units; NaN if it is not finite.
        """
        self.predicted_TA[self.frame] = self._checked(action_A, "action")
        error_A = self.predicted_TA[self.frame].astype(np.float64) - self.recorded.action_TA[self.frame]
        return float(abs(error_A).mean())

    def announce(self, chunk_HA: np.ndarray) -> None:
        """Keep the chunk predicted at the current frame, raw units."""
        self.chunks.append((self.frame, self._checked(chunk_HA, "action chunk")))

    def intend(self, plan: trace.Plan) -> None:
        """Keep the plan made at the current frame."""
        self.plans.add(self.frame, plan, trace.state_map())

    def pursue(self, subtask: str) -> None:
        """Keep the subtask that the chunk of the current frame follows."""
        self.subtasks.append((self.frame, subtask))

    def finished(self) -> Episode:
        """The played episode."""
        lengths = [len(chunk_HA) for _, chunk_HA in self.chunks]
        shape = (len(lengths), max(lengths, default=0), len(self._action_names))
        chunk_CHA = np.full(shape, np.nan, np.float32)
        for place_HA, (_, chunk_HA) in zip(chunk_CHA, self.chunks, strict=True):
            place_HA[: len(chunk_HA)] = chunk_HA
        episode = Episode(
            index=self.recorded.index,
            task_T=self.recorded.task_T,
            timestamp_T=self.recorded.timestamp_T,
            recorded_TA=self.recorded.action_TA,
            predicted_TA=self.predicted_TA,
            hold_TA=self.recorded.hold_TA,
            chunk_start_C=np.array([start for start, _ in self.chunks], np.int64),
            chunk_CHA=chunk_CHA,
            chunk_length_C=np.array(lengths, np.int64) if len(set(lengths)) > 1 else None,
            plans=self.plans.gathered(),
            subtasks=self.subtasks or None,
        )
        if self._pictures:
            episode.picture_frame_P = np.array([frame for frame, _ in self._pictures])
            episode.picture_PHWC = np.stack([picture for _, picture in self._pictures])
        return episode

    def _checked(self, values: np.ndarray, what: str) -> np.ndarray:
        """Refuse another width than the dataset's; mark what is not finite as NaN."""
        names = self._action_names
        if values.shape[-1] != len(names):
            raise ZooError(
                f"the policy's {what} does not fit the dataset's",
                got=f"{values.shape[-1]} dimensions from the policy",
                expected=f"{len(names)} dimensions in the dataset: {', '.join(names)}",
                do="evaluate on a dataset with the features the policy was trained on",
            )
        return np.where(np.isfinite(values), values, np.nan).astype(np.float32)
