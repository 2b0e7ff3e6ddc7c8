"""The columns of a LeRobotDataset on disk that waypoints are made from, episode by episode.

T frames, S state dimensions, A action dimensions.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.rule import WaypointRule


@dataclass(frozen=True)
class EpisodeColumns:
    """Raw states (T, S) and actions (T, A) of one episode."""

    episode_index: int
    state_TS: np.ndarray
    action_TA: np.ndarray

    def digest(self, rule: WaypointRule) -> str:
        """SHA-256 of the numbers that the rule reads."""
        dims = [dim for arm in rule.arms for dim in arm]
        digest = hashlib.sha256(f"{len(self.state_TS)} {dims} {list(rule.gripper_dims)}".encode())
        for columns in (self.state_TS[:, dims], self.action_TA[:, list(rule.gripper_dims)]):
            digest.update(np.ascontiguousarray(columns, dtype="<f8").tobytes())
        return digest.hexdigest()


def combined_digest(digests: list[str]) -> str:
    """One name for the columns of all episodes, in order."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def episode_count(root: Path) -> int:
    """How many episodes the dataset says that it has."""
    return int(_info(root)["total_episodes"])


def column_names(root: Path, key: str) -> list[str] | None:
    """What the dataset calls the dimensions of a feature, where it names each of them."""
    feature = _info(root)["features"][key]
    names = feature.get("names")
    return names if isinstance(names, list) and len(names) == feature["shape"][0] else None


def recorded_episodes(root: Path, rule: WaypointRule) -> Iterator[EpisodeColumns]:
    """The dataset's episodes in order, read file by file.

    Raises:
        ZooError: No LeRobotDataset v3 is there, it lacks a column or dimension of the rule, or its frames are
            out of order or incomplete.
    """
    info = _info(root)
    _require_dimensions(root, info["features"], rule)
    expected = 0
    for path in sorted((root / "data").rglob("*.parquet")):
        table = _read(path, ["episode_index", "frame_index", rule.state_key, rule.action_key])
        episodes_T = table["episode_index"].to_numpy()
        state_TS, action_TA = _matrix(table[rule.state_key]), _matrix(table[rule.action_key])
        starts = np.flatnonzero(np.diff(episodes_T, prepend=-1))
        for first, end in zip(starts, [*starts[1:], len(episodes_T)], strict=True):
            index, frames_T = int(episodes_T[first]), table["frame_index"][first:end].to_numpy()
            if index != expected or not np.array_equal(frames_T, np.arange(end - first)):
                raise ZooError(
                    f"{path} does not hold its frames in order",
                    got=f"episode {index} with frames {frames_T[0]} ... {frames_T[-1]}",
                    expected=f"episode {expected} with frames 0 ... {end - first - 1}",
                    do="repair or download the dataset again",
                )
            yield EpisodeColumns(index, state_TS[first:end], action_TA[first:end])
            expected += 1
    if expected != info["total_episodes"]:
        raise ZooError(
            f"the data files of {root} are incomplete",
            got=f"{expected} episodes",
            expected=f"{info['total_episodes']}, as meta/info.json says",
            do="download the dataset again",
        )


def _read(path: Path, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise ZooError(
            f"{path} cannot be read", got=error, expected="a parquet file", do="download the dataset again"
        ) from error


def _info(root: Path) -> dict[str, Any]:
    path = root / "meta" / "info.json"
    if not path.is_file():
        raise ZooError(
            f"{root} holds no LeRobotDataset",
            got=f"no {path}",
            expected="a dataset in LeRobot's format v3",
            do="pass its folder as --root, or download it first",
        )
    info = json.loads(path.read_text())
    if not str(info.get("codebase_version", "")).startswith("v3"):
        raise ZooError(
            f"{root} has another format",
            got=info.get("codebase_version"),
            expected="v3.0",
            do="python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=... --root=...",
        )
    return info


def _require_dimensions(root: Path, features: dict[str, Any], rule: WaypointRule) -> None:
    needed = ((rule.state_key, sum(rule.arms, ())), (rule.action_key, rule.gripper_dims))
    for key, dims in needed:
        if key not in features or len(features[key]["shape"]) != 1:
            vectors = [name for name, feature in features.items() if len(feature["shape"]) == 1]
            raise ZooError(
                f"waypoints are made from {key}, which is no vector column of {root}",
                got=", ".join(vectors),
                expected=key,
                do="name the right column with --state-key or --action-key",
            )
        width = features[key]["shape"][0]
        if max(dims, default=-1) >= width:
            raise ZooError(
                f"waypoints need dimension {max(dims)} of {key}, which {root} lacks",
                got=f"{width} dimensions: {features[key].get('names')}",
                expected=f"at least {max(dims) + 1}",
                do="choose the preset of this robot, or name dimensions with --arms and --gripper-dims",
            )


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    rows = column.combine_chunks()
    # A column of width 1 is stored as plain numbers.
    values = rows if pa.types.is_floating(rows.type) else rows.flatten()
    return values.to_numpy(zero_copy_only=False).reshape(len(rows), -1)
