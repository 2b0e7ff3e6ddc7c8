"""Recorded episodes, read through LeRobot's own dataset class.

Shapes: T frames of an episode, A action dimensions, S state dimensions.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.utils.constants import ACTION, OBS_STATE

from lerobot_env_dataset_replay.info import checked_episodes, dimension_names, find_root, read_info
from lerobot_env_dataset_replay.observations import ObservationLayout
from lerobot_plugins.errors import ZooError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordedEpisode:
    """The columns of one episode that scoring needs.

    `state_TS` is `observation.state` where it is a vector, and `hold_TA` is it where it can serve as action.
    """

    index: int
    first: int
    task_T: list[str]
    timestamp_T: np.ndarray
    action_TA: np.ndarray
    hold_TA: np.ndarray | None
    state_TS: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.task_T)


class Recording:
    """The chosen episodes of one dataset.

    Args:
        repo_id: The dataset.
        root: Its folder, or None for LeRobot's own place.
        layout: How its features become raw observations.
        episodes: Chosen episodes, or None for all.
        video_backend: The decoder of video frames.

    Raises:
        ZooError: No dataset there, an episode that does not exist or is named twice, or no statistics of the
            actions.
    """

    def __init__(
        self,
        repo_id: str,
        root: Path | None,
        layout: ObservationLayout,
        episodes: Sequence[int] | None,
        video_backend: str,
    ) -> None:
        self.repo_id = repo_id
        self.root = find_root(repo_id, root)
        info = read_info(self.root)
        self.fps = info["fps"]
        self.layout = layout
        self.episodes = checked_episodes(episodes, info["total_episodes"], self.root)
        action = info["features"][ACTION]
        self.action_names = dimension_names(action) or [f"action_{d}" for d in range(action["shape"][0])]
        self.hold_reason = _why_not_hold(info["features"])
        state = info["features"].get(OBS_STATE, {"shape": ()})
        self.has_state = len(state["shape"]) == 1
        self.state_names = dimension_names(state) if self.has_state else None
        self.statistics, self.statistics_sha256 = self._read_statistics()
        texts = [key for key, feature in info["features"].items() if feature["dtype"] == "string"]
        if texts:
            logger.warning("Text columns reach no policy and are not replayed: %s", ", ".join(texts))
        self._dataset = LeRobotDataset(
            repo_id,
            root=self.root,
            # None shares the cache that training on the whole dataset has made.
            episodes=None if episodes is None else sorted(self.episodes),
            video_backend=video_backend,
            return_uint8=True,
        )

    def length(self, episode: int) -> int:
        """The number of frames of an episode."""
        return int(self._dataset.meta.episodes[episode]["length"])

    def episode(self, episode: int) -> RecordedEpisode:
        """The columns of one episode.

        Raises:
            ZooError: A recorded action is not finite.
        """
        first = int(self._dataset.meta.episodes[episode]["dataset_from_index"])
        to_position = self._dataset.absolute_to_relative_idx
        position = first if to_position is None else to_position[first]
        columns = [ACTION, "task_index", "timestamp"] + ([OBS_STATE] if self.has_state else [])
        rows = self._dataset.hf_dataset.with_format("numpy", columns=columns)[
            position : position + self.length(episode)
        ]
        action_TA = np.stack(rows[ACTION]).reshape(-1, len(self.action_names))
        if not np.isfinite(action_TA).all():
            frame, dimension = np.argwhere(~np.isfinite(action_TA))[0]
            raise ZooError(
                f"{self.root}: a recorded action is not finite",
                got=f"{action_TA[frame, dimension]} for '{self.action_names[dimension]}' "
                f"in episode {episode}, frame {frame}",
                expected="finite numbers",
                do="repair the dataset, or leave this episode out of --env.episodes",
            )
        length = len(action_TA)
        state_TS = np.stack(rows[OBS_STATE]).reshape(length, -1) if self.has_state else None
        return RecordedEpisode(
            index=episode,
            first=position,
            task_T=[str(self._dataset.meta.tasks.iloc[task].name) for task in rows["task_index"]],
            timestamp_T=np.asarray(rows["timestamp"]),
            action_TA=action_TA,
            hold_TA=None if self.hold_reason else state_TS,
            state_TS=state_TS,
        )

    def observation(self, episode: RecordedEpisode, frame: int) -> dict[str, Any]:
        """The raw observation of one frame (see `observations`)."""
        return self.layout.raw(self._dataset[episode.first + frame])

    def _read_statistics(self) -> tuple[dict[str, list[float]], str]:
        path = self.root / "meta/stats.json"
        try:
            content = path.read_bytes()
            statistics = {name: list(json.loads(content)[ACTION][name]) for name in ("min", "max", "mean")}
            valid = all(
                len(values) == len(self.action_names) and np.isfinite(values).all()
                for values in statistics.values()
            ) and bool(np.all(np.less_equal(statistics["min"], statistics["max"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ZooError(
                f"{path} gives no statistics of the actions",
                got=repr(error),
                expected=f"min, max and mean of '{ACTION}'",
                do=self._restat(),
            ) from None
        if not valid:
            raise ZooError(
                f"{path} does not fit the dataset's actions",
                got=statistics,
                expected=f"{len(self.action_names)} finite values each, no max below its min",
                do=self._restat(),
            )
        return statistics, hashlib.sha256(content).hexdigest()

    def _restat(self) -> str:
        return (
            f"lerobot-edit-dataset --repo_id={self.repo_id} --root={self.root} "
            "--operation.type=recompute_stats"
        )


def _why_not_hold(features: dict[str, dict]) -> str | None:
    """Why 'stay where you are' is no baseline: the state must be in the units of the action."""
    if OBS_STATE not in features:
        return f"the dataset has no {OBS_STATE}"
    state_names, action_names = dimension_names(features[OBS_STATE]), dimension_names(features[ACTION])
    if state_names is None or action_names is None or len(features[OBS_STATE]["shape"]) != 1:
        return "the dataset does not name the dimensions of state and action"
    if state_names != action_names:
        return "the dimensions of state and action have different names"
    return None
