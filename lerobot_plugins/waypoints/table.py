"""The waypoints of a dataset: a table with lookup by episode, and its file.

W waypoints of one episode.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation.files import write_atomically
from lerobot_plugins.waypoints.rule import WaypointRule

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class EpisodeWaypoints:
    """Waypoint frames of one episode, int64 (W,): strictly increasing, first 0, last `frames - 1`.

    Raises:
        ZooError: The indices are not so.
    """

    episode_index: int
    frames: int
    indices: np.ndarray

    def __post_init__(self) -> None:
        # Objects at first: lists from files may hold anything, and NumPy would make numbers of it.
        indices = np.array(self.indices, dtype=object)
        whole = indices.ndim == 1 and all(isinstance(index, int | np.integer) for index in indices)
        if not whole or [*indices[:1], *indices[-1:]] != [0, self.frames - 1] or (np.diff(indices) < 1).any():
            raise ZooError(
                f"the waypoints of episode {self.episode_index} do not fit its {self.frames} frames",
                got=np.array2string(indices, threshold=8, separator=", "),
                expected=f"strictly increasing whole numbers from 0 to {self.frames - 1}",
                do="make them again with `lerobot-plugins waypoints`, or import the file of this dataset",
            )
        object.__setattr__(self, "indices", indices.astype(np.int64))

    @property
    def durations(self) -> np.ndarray:
        """Frames from each waypoint to the next, int64 (W - 1,)."""
        return np.diff(self.indices)


@dataclass(frozen=True)
class Waypoints:
    """Waypoints of all episodes of a dataset.

    Args:
        rule: What they were made with.
        columns_sha256: Names the states and actions that they were made from.
        origin: `extracted`, or `imported` from a published index file.
        episodes: In the order of the dataset, from episode 0 on.
    """

    rule: WaypointRule
    columns_sha256: str
    origin: str
    episodes: tuple[EpisodeWaypoints, ...]

    def __post_init__(self) -> None:
        found = [episode.episode_index for episode in self.episodes]
        if found != list(range(len(found))):
            raise ZooError(
                "a table of waypoints lacks episodes or has them out of order",
                got=f"{found[:9]} ...",
                expected=f"0 ... {len(found) - 1}",
                do="make it again with `lerobot-plugins waypoints`",
            )

    def __getitem__(self, episode_index: int) -> EpisodeWaypoints:
        if not 0 <= episode_index < len(self.episodes):
            raise ZooError(
                f"there are no waypoints of episode {episode_index}",
                expected=f"an episode from 0 to {len(self.episodes) - 1}",
                do="choose another, or make the waypoints again where the dataset has grown",
            )
        return self.episodes[episode_index]

    def __len__(self) -> int:
        return len(self.episodes)

    def __iter__(self) -> Iterator[EpisodeWaypoints]:
        return iter(self.episodes)

    def save(self, path: Path) -> None:
        """Write the table, an episode a line."""
        head = {
            "schema_version": SCHEMA_VERSION,
            "origin": self.origin,
            "rule": self.rule.to_dict(),
            "columns_sha256": self.columns_sha256,
        }
        lines = ",\n".join(json.dumps(episode_to_dict(episode)) for episode in self)
        write_atomically(path, f'{json.dumps(head)[:-1]}, "episodes": [\n{lines}\n]}}\n')

    @classmethod
    def load(cls, path: Path) -> "Waypoints":
        """Read a table; whether it still fits its dataset is checked by `dataset.load_waypoints`.

        Raises:
            ZooError: The file is no complete table of this version.
        """
        content = read_json(path)
        if content.get("schema_version") != SCHEMA_VERSION:
            raise ZooError(
                f"{path} is no table of waypoints of this version",
                got=content.get("schema_version"),
                expected=f"schema_version {SCHEMA_VERSION}",
                do="make it again with `lerobot-plugins waypoints --overwrite`",
            )
        try:
            rule = WaypointRule.from_dict(content["rule"])
            episodes = tuple(episode_from_dict(episode) for episode in content["episodes"])
            return cls(rule, str(content["columns_sha256"]), str(content["origin"]), episodes)
        except (KeyError, TypeError, ValueError) as error:
            raise ZooError(
                f"{path} is damaged",
                got=repr(error),
                expected="a table of waypoints",
                do="make it again with `lerobot-plugins waypoints --overwrite`",
            ) from error


def episode_to_dict(episode: EpisodeWaypoints) -> dict[str, Any]:
    return {
        "episode_index": episode.episode_index,
        "frames": episode.frames,
        "waypoint_indices": episode.indices.tolist(),
    }


def episode_from_dict(values: Mapping[str, Any]) -> EpisodeWaypoints:
    return EpisodeWaypoints(int(values["episode_index"]), int(values["frames"]), values["waypoint_indices"])


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or a `ZooError` that names the file."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ZooError(f"{path} cannot be read", got=error, expected="a JSON file") from error
    if not isinstance(content, dict):
        raise ZooError(f"{path} holds no object", got=type(content).__name__, expected="a JSON object")
    return content
