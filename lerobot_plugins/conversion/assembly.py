"""Assemble a LeRobotDataset v3 from staged episodes.

Everything here follows from the order of the episodes, so the result is the same however they were staged.

T frames; D the shape of one frame's value; C channels; V intensities.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lerobot.configs.video import DepthEncoderConfig, RGBEncoderConfig
from lerobot.datasets.dataset_metadata import CODEBASE_VERSION
from lerobot.datasets.io_utils import write_info, write_stats, write_tasks
from lerobot.datasets.utils import DEFAULT_DATA_PATH, DEFAULT_VIDEO_PATH, DatasetInfo
from lerobot.datasets.video_utils import get_video_info
from lerobot.utils.constants import DEFAULT_FEATURES
from lerobot.utils.io_utils import write_json

from lerobot_plugins.conversion import pictures, video
from lerobot_plugins.conversion.data_files import DataFile, Pictures, index_columns
from lerobot_plugins.conversion.episode import ImageStorage
from lerobot_plugins.conversion.episode_rows import statistics_columns, write_episodes
from lerobot_plugins.conversion.histograms import write_histograms
from lerobot_plugins.conversion.layout import FileLimits, Place, assign_files
from lerobot_plugins.conversion.provenance import PROVENANCE_PATH
from lerobot_plugins.conversion.source import SUBTASK_INDEX, EpisodeSource, is_camera, is_depth, is_labels
from lerobot_plugins.conversion.staged import StagedEpisode, pictures_path, video_path
from lerobot_plugins.processing.subtask_table import SUBTASKS_PATH
from lerobot_plugins.statistics.exact import Statistics, exact_statistics
from lerobot_plugins.statistics.images import sampled


class Assembly:
    """The writing of one dataset.

    Args:
        source: What was staged.
        folders: The staged episodes in order; the dataset numbers them from 0.
        storage: How the pictures were staged.
        limits: Sizes of files.
        root: The folder to write, which must not exist.
    """

    def __init__(
        self,
        source: EpisodeSource,
        folders: Sequence[Path],
        storage: ImageStorage,
        limits: FileLimits,
        root: Path,
    ) -> None:
        self.fps = source.fps
        self.robot_type = source.robot_type
        self.folders = folders
        self.limits = limits
        self.root = root
        self.cameras = [key for key, feature in source.features.items() if is_camera(feature)]
        self.features = _stored_features(source.features, storage)
        self.sizes: list[int] = []
        self.lengths: list[int] = []
        self.task_index: dict[str, int] = {}
        self.subtask_index: dict[str, int] = {}
        for folder in folders:
            episode = StagedEpisode.load(folder)
            self.sizes.append(episode.data_bytes)
            self.lengths.append(episode.length)
            for task in episode.tasks:
                self.task_index.setdefault(task, len(self.task_index))
            for subtask in episode.subtasks:
                self.subtask_index.setdefault(subtask, len(self.subtask_index))
        self.rows: list[dict[str, Any]] = []
        self.statistics: dict[str, Statistics] = {}
        self.histograms: dict[str, np.ndarray] = {}

    def write(self, provenance: Mapping[str, Any], advance: Callable[[], object]) -> None:
        """Write the whole dataset, calling `advance` after each episode."""
        self._write_data(advance)
        for camera in self.cameras:
            if self.features[camera]["dtype"] == "video":
                self._write_videos(camera)
        self._write_metadata(provenance)

    def _write_data(self, advance: Callable[[], object]) -> None:
        """Parquet files, the rows of meta/episodes, and the statistics of the dataset."""
        columns: dict[str, list[np.ndarray]] = defaultdict(list)
        first_index = 0
        for place in self._files(self.sizes, self.limits.data_mb):
            path = self.root / DEFAULT_DATA_PATH.format(chunk_index=place.chunk, file_index=place.file)
            with DataFile(path, self.features) as file:
                for index in place.episodes:
                    episode = StagedEpisode.load(self.folders[index])
                    numbers = self._numbers(episode, index, first_index)
                    file.write(numbers, self._pictures(episode, self.folders[index]))
                    self.rows.append(self._row(episode, index, first_index, place, numbers))
                    for key, values_TD in numbers.items():
                        columns[key].append(values_TD)
                    self._count_pictures(episode)
                    first_index += episode.length
                    advance()
        for key in self.features:
            if key in self.cameras:
                self.statistics[key] = self._all_pictures(key)
            else:
                self.statistics[key] = exact_statistics(np.concatenate(columns.pop(key)))

    def _numbers(self, episode: StagedEpisode, index: int, first_index: int) -> dict[str, np.ndarray]:
        """All numeric columns of an episode, (T, D) each."""
        task_indices = np.array([self.task_index[task] for task in episode.tasks])[episode.task_T]
        added = index_columns(episode.length, self.fps, index, first_index, task_indices)
        if SUBTASK_INDEX in self.features:
            numbers = np.array([self.subtask_index[subtask] for subtask in episode.subtasks], np.int64)
            added[SUBTASK_INDEX] = numbers[episode.subtask_T][:, None]
        return episode.columns | added

    def _count_pictures(self, episode: StagedEpisode) -> None:
        for camera in self.cameras:
            self.histograms[camera] = self.histograms.get(camera, 0) + episode.histograms[camera]

    def _all_pictures(self, camera: str) -> Statistics:
        """The statistics of a camera in the whole dataset."""
        images = sum(len(sampled(length)) for length in self.lengths)
        return pictures.statistics(self.features[camera], self.histograms[camera], images)

    def _episode_pictures(self, camera: str, index: int, episode: StagedEpisode) -> Statistics:
        """The statistics of a camera in one episode."""
        images = len(sampled(episode.length))
        return pictures.statistics(self.features[camera], episode.histograms[camera], images)

    def _pictures(self, episode: StagedEpisode, folder: Path) -> dict[str, Pictures]:
        return {
            camera: Pictures(pictures_path(folder, camera), ends_T)
            for camera, ends_T in episode.picture_ends.items()
        }

    def _row(
        self,
        episode: StagedEpisode,
        index: int,
        first_index: int,
        place: Place,
        numbers: Mapping[str, np.ndarray],
    ) -> dict[str, Any]:
        statistics = {
            key: self._episode_pictures(key, index, episode)
            if key in self.cameras
            else exact_statistics(numbers[key])
            for key in self.features
        }
        return {
            "episode_index": index,
            "tasks": episode.tasks,
            "length": episode.length,
            "data/chunk_index": place.chunk,
            "data/file_index": place.file,
            "dataset_from_index": first_index,
            "dataset_to_index": first_index + episode.length,
        } | statistics_columns(statistics)

    def _write_videos(self, camera: str) -> None:
        parts = [video_path(folder, camera) for folder in self.folders]
        for place in self._files([part.stat().st_size for part in parts], self.limits.video_mb):
            path = self.root / DEFAULT_VIDEO_PATH.format(
                video_key=camera, chunk_index=place.chunk, file_index=place.file
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            chosen = slice(place.episodes.start, place.episodes.stop)
            video.concatenate(parts[chosen], self.lengths[chosen], self.fps, path)
            self._describe_video(camera, path)
            frames = 0
            for index in place.episodes:
                self.rows[index] |= {
                    f"videos/{camera}/chunk_index": place.chunk,
                    f"videos/{camera}/file_index": place.file,
                    f"videos/{camera}/from_timestamp": frames / self.fps,
                    f"videos/{camera}/to_timestamp": (frames + self.lengths[index]) / self.fps,
                }
                frames += self.lengths[index]

    def _describe_video(self, camera: str, path: Path) -> None:
        """LeRobot's `info` of a camera, from its first video."""
        info = self.features[camera].get("info", {})
        if "video.codec" not in info:
            config = DepthEncoderConfig() if is_depth(self.features[camera]) else RGBEncoderConfig()
            self.features[camera]["info"] = {**info, **get_video_info(path, config)}

    def _files(self, sizes: Sequence[int], limit_mb: int) -> list[Place]:
        return assign_files(sizes, limit_mb, self.limits.files_per_chunk)

    def _write_metadata(self, provenance: Mapping[str, Any]) -> None:
        has_videos = any(feature["dtype"] == "video" for feature in self.features.values())
        info = DatasetInfo(
            codebase_version=CODEBASE_VERSION,
            fps=self.fps,
            features=self.features,
            total_episodes=len(self.folders),
            total_frames=sum(self.lengths),
            total_tasks=len(self.task_index),
            chunks_size=self.limits.files_per_chunk,
            data_files_size_in_mb=self.limits.data_mb,
            video_files_size_in_mb=self.limits.video_mb,
            data_path=DEFAULT_DATA_PATH,
            video_path=DEFAULT_VIDEO_PATH if has_videos else None,
            robot_type=self.robot_type,
            splits={"train": f"0:{len(self.folders)}"},
        )
        write_info(info, self.root)
        write_stats(self.statistics, self.root)
        tasks = pd.Index(self.task_index.keys(), name="task")
        write_tasks(pd.DataFrame({"task_index": range(len(tasks))}, index=tasks), self.root)
        if SUBTASK_INDEX in self.features:
            index = pd.Index(self.subtask_index.keys(), name="subtask")
            subtasks = pd.DataFrame({SUBTASK_INDEX: range(len(index))}, index=index)
            subtasks.to_parquet(self.root / SUBTASKS_PATH)
        write_episodes(self.rows, self.limits, self.root)
        write_json(provenance, self.root / PROVENANCE_PATH)
        if self.histograms:
            write_histograms(self.histograms, self.root)


def _stored_features(
    features: Mapping[str, Mapping[str, Any]], storage: ImageStorage
) -> dict[str, dict[str, Any]]:
    """The dataset's features: the source's with pictures as they are stored, then LeRobot's own."""
    camera_dtype = {"video": "video", "jpeg": "image"}[storage]
    stored = {}
    for key, feature in {**features, **DEFAULT_FEATURES}.items():
        dtype = feature["dtype"]
        if is_camera(feature):
            dtype = "image" if is_labels(feature) else camera_dtype
        stored[key] = {**feature, "dtype": dtype, "shape": tuple(feature["shape"])}
    return stored
