"""A LeRobotDataset v3 that is to be merged, and the staging of its episodes with the bytes that it has.

T frames; D the shape of one frame's value.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_plugins.conversion import video
from lerobot_plugins.conversion.histograms import HISTOGRAMS_PATH, read_histograms
from lerobot_plugins.conversion.matching import ADDED_COLUMNS, read_info
from lerobot_plugins.conversion.parquet_rows import cursor
from lerobot_plugins.conversion.provenance import PROVENANCE_PATH
from lerobot_plugins.conversion.quarantine import QUARANTINE_PATH
from lerobot_plugins.conversion.source import LABEL_NAMES, SUBTASK_INDEX, is_camera, is_labels
from lerobot_plugins.conversion.staged import StagedEpisode, pictures_path, video_path
from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.subtask_table import read_subtask_texts

# A frame's time is its number divided by the rate, as float32.
_TIME_TOLERANCE = 1e-3
_KNOWN = {
    *("info.json", "stats.json", "tasks.parquet", "subtasks.parquet", "episodes"),
    *(Path(path).name for path in (PROVENANCE_PATH, QUARANTINE_PATH, HISTOGRAMS_PATH)),
}


@dataclass(frozen=True)
class Part:
    """One dataset to be merged.

    Args:
        root: Its folder.
        info: `meta/info.json`.
        tasks: The tasks' texts by their index.
        episodes: The rows of `meta/episodes` in order.
        first_rows: The index of the first frame of each data file, by chunk and file.
        statistics: `meta/stats.json`.
        histograms: Of its pictures, if it has them.
        provenance: `meta/provenance.json`, if it has one.
        quarantine: `meta/quarantine.json`, if it has one.
    """

    root: Path
    info: Mapping[str, Any]
    tasks: Mapping[int, str]
    episodes: list[dict[str, Any]]
    first_rows: Mapping[tuple[int, int], int]
    statistics: Mapping[str, Mapping[str, Any]]
    histograms: Mapping[str, np.ndarray] | None
    provenance: Mapping[str, Any] | None
    quarantine: Mapping[str, Any] | None

    @classmethod
    def open(cls, root: Path) -> "Part":
        """Read everything that `meta/` says.

        Raises:
            ZooError: It is no LeRobotDataset v3, or a file is missing or malformed.
        """
        info = read_info(root)
        try:
            tasks = pq.read_table(root / "meta/tasks.parquet").to_pylist()
            episodes = pq.read_table(root / "meta/episodes").to_pylist()
            statistics = json.loads((root / "meta/stats.json").read_text(encoding="utf-8"))
            names = {row["task_index"]: _text(row) for row in tasks}
            episodes.sort(key=lambda row: row["episode_index"])
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise ZooError(
                f"{root} is incomplete",
                got=" ".join(str(error).split()),
                expected="meta/tasks.parquet, meta/episodes and meta/stats.json as LeRobot writes them",
                do="convert or fetch it again",
            ) from error
        if len(episodes) != info["total_episodes"]:
            raise ZooError(
                f"{root}: meta/episodes and meta/info.json disagree",
                got=f"{len(episodes)} episodes",
                expected=info["total_episodes"],
            )
        first_rows: dict[tuple[int, int], int] = {}
        for row in episodes:
            place, first = _place(row), row["dataset_from_index"]
            first_rows[place] = min(first, first_rows.get(place, first))
        return cls(
            root,
            info,
            names,
            episodes,
            first_rows,
            statistics,
            read_histograms(root),
            provenance=_json(root / PROVENANCE_PATH),
            quarantine=_json(root / QUARANTINE_PATH),
        )

    @property
    def cameras(self) -> list[str]:
        """The cameras' features."""
        return [key for key, feature in self.info["features"].items() if is_camera(feature)]

    @property
    def other_files(self) -> list[str]:
        """What `meta/` holds of other tools, such as waypoints."""
        known = _KNOWN | {LABEL_NAMES} if self.has_labels else _KNOWN
        return sorted(
            path.name
            for path in (self.root / "meta").iterdir()
            if path.name not in known and not path.name.startswith(".")
        )

    @property
    def has_labels(self) -> bool:
        """Whether pixels of a camera are numbers of things."""
        return any(map(is_labels, self.info["features"].values()))

    def label_names(self) -> list[dict[str, str]]:
        """What the numbers are called, for each episode.

        Raises:
            ZooError: That is not said of every episode.
        """
        path = self.root / "meta" / LABEL_NAMES
        names = _json(path)
        if not isinstance(names, list) or len(names) != len(self.episodes):
            raise ZooError(
                f"{self.root} does not say what the labels in its pictures are called",
                got=f"no meta/{LABEL_NAMES}" if names is None else f"a meta/{LABEL_NAMES} of another length",
                expected=f"a list of {len(self.episodes)} entries, one per episode",
                do="copy the file from where the dataset was converted, or convert it again",
            )
        return names

    @property
    def shard(self) -> tuple[int, int] | None:
        """Which part of how many, if a conversion was split."""
        found = ((self.provenance or {}).get("source") or {}).get("shard")
        return None if found is None else (found[0], found[1])

    def describe(self) -> dict[str, Any]:
        """What the merged dataset says of it; the digest tells it from another of the same name."""
        digest = hashlib.sha256()
        for name in ("info.json", "stats.json"):
            digest.update((self.root / "meta" / name).read_bytes())
        return {
            "name": self.root.name,
            "episodes": len(self.episodes),
            "frames": self.info["total_frames"],
            "meta_sha256": digest.hexdigest(),
            "provenance": self.provenance,
        }

    def stage(self, number: int, folder: Path, start: int = 0, stop: int | None = None) -> None:
        """Stage one episode: its numbers and tasks, its pictures' files or its videos as they are.

        Args:
            number: The episode.
            folder: Where to write.
            start: First frame of it; of videos a key frame.
            stop: One after the last; None is the episode's end.

        Raises:
            ZooError: A file is damaged, or has other frames than `meta/episodes` says.
        """
        row = self.episodes[number]
        stop = row["length"] if stop is None else stop
        features = self.info["features"]
        wanted = tuple(key for key, feature in features.items() if feature["dtype"] != "video")
        batches = self._rows(row, wanted, start, stop)
        columns = {
            key: np.concatenate([_numbers(batch[key], feature) for batch in batches])
            for key, feature in features.items()
            if not is_camera(feature) and key not in (*ADDED_COLUMNS, SUBTASK_INDEX)
        }
        self._check(row, batches, start, stop)
        staged = StagedEpisode.of(self._tasks(batches), columns, self._subtasks(batches))
        for camera in self.cameras:
            if features[camera]["dtype"] == "image":
                staged.picture_ends[camera] = _copy_pictures(
                    [batch[camera] for batch in batches], pictures_path(folder, camera)
                )
            else:
                path, begin = self._video(camera, row)
                begin += start / self.info["fps"]
                video.cut(path, begin, stop - start, self.info["fps"], video_path(folder, camera))
        staged.save(folder)

    def tasks_of(self, number: int) -> list[str]:
        """The task of each frame of an episode."""
        row = self.episodes[number]
        return self._tasks(self._rows(row, ("task_index",), 0, row["length"]))

    def key_frame(self, number: int, frame: int) -> int:
        """The last frame of an episode, not after `frame`, from which all of its videos can be cut."""
        row = self.episodes[number]
        cameras = [camera for camera in self.cameras if self.info["features"][camera]["dtype"] == "video"]
        while True:
            earlier = min(
                (self._key_frame(camera, row, frame) for camera in cameras),
                default=frame,
            )
            if earlier == frame:
                return frame
            frame = earlier

    def _key_frame(self, camera: str, row: Mapping[str, Any], frame: int) -> int:
        path, begin = self._video(camera, row)
        return video.key_frame(path, begin, frame, self.info["fps"])

    def _tasks(self, batches: list[pa.RecordBatch]) -> list[str]:
        return [self.tasks[index] for batch in batches for index in batch["task_index"].to_pylist()]

    def _subtasks(self, batches: list[pa.RecordBatch]) -> list[str]:
        if SUBTASK_INDEX not in self.info["features"]:
            return []
        texts = read_subtask_texts(self.root)
        return [texts[index] for batch in batches for index in batch[SUBTASK_INDEX].to_pylist()]

    def _rows(
        self, row: Mapping[str, Any], wanted: tuple[str, ...], start: int, stop: int
    ) -> list[pa.RecordBatch]:
        """Frames `start` to `stop` of an episode."""
        chunk, file = _place(row)
        begin = row["dataset_from_index"] - self.first_rows[chunk, file]
        # Up to the episode's end where that is wanted: whether it is the row's length is checked.
        end = row["dataset_to_index"] - row["dataset_from_index"] if stop == row["length"] else stop
        path = self.root / self.info["data_path"].format(chunk_index=chunk, file_index=file)
        rows = cursor(path, wanted, str(path.relative_to(self.root))).rows(begin + start, begin + end)
        return list(rows)

    def _check(self, row: Mapping[str, Any], batches: list[pa.RecordBatch], start: int, stop: int) -> None:
        episode, time = (
            np.concatenate([batch[key].to_numpy() for batch in batches])
            for key in ("episode_index", "timestamp")
        )
        if (episode != row["episode_index"]).any() or len(episode) != stop - start:
            raise ZooError(
                f"{self.root}: meta/episodes and the data files disagree",
                got=f"rows of the episodes {np.unique(episode).tolist()}, {len(episode)} of them",
                expected=f"{stop - start} rows of episode {row['episode_index']}",
            )
        if np.abs(time - np.arange(start, stop) / self.info["fps"]).max() > _TIME_TOLERANCE:
            raise ZooError(
                f"{self.root}, episode {row['episode_index']}: time stamps are not frame / fps",
                do="lerobot-plugins doctor says which",
            )

    def _video(self, camera: str, row: Mapping[str, Any]) -> tuple[Path, float]:
        """The file that shows an episode, and when it begins there, in seconds."""
        prefix = f"videos/{camera}/"
        path = self.root / self.info["video_path"].format(
            video_key=camera,
            chunk_index=row[prefix + "chunk_index"],
            file_index=row[prefix + "file_index"],
        )
        if not path.is_file():
            raise ZooError(f"{self.root} lacks a video", got=f"no {path.relative_to(self.root)}")
        return path, row[prefix + "from_timestamp"]


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    """Chunk and file of an episode's rows."""
    return row["data/chunk_index"], row["data/file_index"]


def _numbers(array: pa.Array, feature: Mapping[str, Any]) -> np.ndarray:
    """A column of one batch, (T, D)."""
    shape = (len(array), *feature["shape"])
    if isinstance(array, pa.ExtensionArray):
        return np.array(array.storage.to_pylist(), feature["dtype"]).reshape(shape)
    if not pa.types.is_primitive(array.type):
        array = array.flatten()
    return array.to_numpy(zero_copy_only=False).astype(feature["dtype"]).reshape(shape)


def _copy_pictures(arrays: list[pa.Array], path: Path) -> np.ndarray:
    """Write the files of pictures one after the other; returns where each ends."""
    ends: list[int] = []
    with path.open("wb") as file:
        for array in arrays:
            for encoded in array.field("bytes"):
                if not encoded.is_valid:
                    raise ZooError("a picture is not stored in the data files", got="a path without bytes")
                file.write(encoded.as_buffer())
                ends.append(file.tell())
    return np.array(ends)


def _text(row: Mapping[str, Any]) -> str:
    """The task of a row of meta/tasks.parquet, whose index LeRobot may have named or not."""
    return str(row["task"] if "task" in row else row["__index_level_0__"])


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
