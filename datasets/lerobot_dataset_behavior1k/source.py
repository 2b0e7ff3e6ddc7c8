"""BEHAVIOR-1K's demonstrations as a source of episodes.

H, W height and width.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_dataset_behavior1k import videos
from lerobot_dataset_behavior1k.annotations import read_annotation
from lerobot_dataset_behavior1k.columns import column_features, read_columns
from lerobot_dataset_behavior1k.layout import Layout
from lerobot_dataset_behavior1k.options import Options
from lerobot_dataset_behavior1k.segmentation import read_ids, read_names
from lerobot_plugins.contracts import r1pro
from lerobot_plugins.conversion.source import (
    LABEL_NAMES,
    LABELS_INFO,
    SUBTASK_FEATURE,
    SUBTASK_INDEX,
    Clip,
    Episode,
    is_camera,
    is_depth,
    is_labels,
)
from lerobot_plugins.errors import ZooError, first_names

_COLOUR, _DEPTH = "observation.images.rgb.", "observation.images.depth."
_IDS = "observation.images.seg_instance_id."
_CAMERA_NAME = re.compile(r"\w+")


@dataclass(frozen=True)
class Survey:
    """How far annotations describe the chosen episodes.

    Args:
        level: `skill` or `primitive`.
        frames: Frames of the episodes whose annotation can be read.
        undescribed: Frames among them that lie in no segment.
        unnamed: Entries that name no skill.
        backwards: Durations that end before they begin.
    """

    level: str
    frames: int
    undescribed: int
    unnamed: int
    backwards: int

    def __str__(self) -> str:
        return (
            f"{self.undescribed} of {self.frames} frames lie in no annotated {self.level} and get their "
            f"task's sentence; left out: {self.unnamed} annotations without a name, {self.backwards} "
            "durations that end before they begin"
        )


@dataclass(frozen=True)
class Behavior1kSource:
    """Chosen episodes of one folder; an `EpisodeSource`.

    Args:
        layout: The folder.
        options: What was chosen.
        episodes: The numbers of the chosen episodes.
        features: LeRobot's features.
        surveys: What the annotations describe, for each level whose phrases are taken.
    """

    layout: Layout
    options: Options
    episodes: tuple[int, ...]
    features: Mapping[str, Mapping[str, Any]]
    surveys: tuple[Survey, ...]

    @classmethod
    def open(cls, root: Path, options: Options, tolerate_damage: bool = False) -> "Behavior1kSource":
        """Read what `meta/` and the annotations say, and look for the files of all chosen episodes.

        Args:
            root: The folder.
            options: What to convert.
            tolerate_damage: An episode whose files are missing or malformed fails when it is read, not now.

        Raises:
            ZooError: A file is missing or malformed, or the options ask for what is not there.
        """
        layout = Layout.open(root)
        episodes = layout.select(options.tasks, options.episodes)
        cameras = _camera_features(layout.features, options)
        features = column_features(options.proprioception) | cameras
        if options.subtasks != "none":
            features |= {SUBTASK_INDEX: dict(SUBTASK_FEATURE)}
        source = cls(layout, options, episodes, features, ())
        if not tolerate_damage:
            source._require_files()
        surveys = [source._look_through_annotations(level, tolerate_damage) for level in options.levels]
        return cls(layout, options, episodes, features, tuple(surveys))

    @property
    def fps(self) -> int:
        """Frames per second."""
        return self.layout.fps

    @property
    def robot_type(self) -> str:
        """LeRobot's name for the robot."""
        return r1pro.ROBOT_TYPE

    def __len__(self) -> int:
        return len(self.episodes)

    def read(self, index: int) -> Episode:
        """One episode; raises `ZooError` if it is damaged."""
        episode = self.episodes[index]
        length = self.layout.lengths[episode]
        if self._labelled:
            # What is wrong with the names is this episode's fault, and found before its pictures are decoded.
            self._names(episode)
        return Episode(
            columns=read_columns(self.layout.data(episode), length, self.fps, self.options.proprioception),
            images={
                key: Clip(length, partial(self._decode, key, episode))
                for key, feature in self.features.items()
                if is_camera(feature)
            },
            tasks=self._texts(episode, self.options.prompts),
            subtasks=self._texts(episode, self.options.subtasks) if SUBTASK_INDEX in self.features else (),
        )

    def locate(self, index: int) -> str:
        """Task and number of an episode."""
        return self.layout.locate(self.episodes[index])

    def files(self, index: int) -> list[str]:
        """Table, videos and annotation of an episode."""
        files = self._files(self.episodes[index])
        return [str(path.relative_to(self.layout.root)) for path in files]

    def fingerprint(self) -> dict[str, Any]:
        """All that decides what `read` returns; tables and videos by their names and sizes."""
        relevant = [path for episode in self.episodes for path in self._files(episode)]
        sizes = "\n".join(
            f"{path.relative_to(self.layout.root)} {path.stat().st_size if path.exists() else 'missing'}"
            for path in relevant
        )
        undescribed = {survey.level: survey.undescribed for survey in self.surveys}
        annotations = [path.read_bytes() for path in relevant if path.suffix == ".json" and path.exists()]
        return {
            "format": "behavior1k",
            "episodes": list(self.episodes),
            "files_sha256": hashlib.sha256(sizes.encode()).hexdigest(),
            "annotations_sha256": hashlib.sha256(b"".join(annotations)).hexdigest() if annotations else None,
            "sentences": dict(self.layout.sentences),
            "prompts": self.options.prompts,
            "object_names": dict(self.options.object_names),
            "undescribed_frames": undescribed.get(self.options.prompts),
            "subtasks": self.options.subtasks,
            "frames_without_subtask": undescribed.get(self.options.subtasks),
            "size": self.options.size,
            "features": list(self.features),
        }

    def notes(self, indices: Sequence[int]) -> dict[str, Any]:
        """`instances.json`: for each episode what the ids in the pictures of its cameras are called."""
        if not self._labelled:
            return {}
        return {LABEL_NAMES: [self._names(self.episodes[index]) for index in indices]}

    @property
    def _labelled(self) -> list[str]:
        """The names of the cameras whose instance ids are taken."""
        return [key.removeprefix(_IDS) for key in self.features if key.startswith(_IDS)]

    def _names(self, episode: int) -> dict[str, str]:
        """Names by ids; an id that the description does not name has none."""
        path = self.layout.description(episode)
        seen = {number for camera in self._labelled for number in read_ids(path, camera)}
        return {str(number): name for number, name in sorted(read_names(path).items()) if number in seen}

    def _decode(self, key: str, episode: int) -> Iterator[np.ndarray]:
        recorded, size = (tuple(of[key]["shape"][:2]) for of in (self.layout.features, self.features))
        path = self.layout.video(episode, key)
        if is_labels(self.features[key]):
            ids = read_ids(self.layout.description(episode), key.removeprefix(_IDS))
            return videos.decode_segmentation(path, recorded, size, ids)
        decode = videos.decode_depth if is_depth(self.features[key]) else videos.decode_colour
        return decode(path, recorded, size)

    def _texts(self, episode: int, level: str) -> list[str]:
        """The text of each frame; one that no annotation describes gets the sentence of its task."""
        length, sentence = self.layout.lengths[episode], self.layout.sentence(episode)
        if level == "task":
            return [sentence] * length
        path = self.layout.annotation(episode)
        annotation = read_annotation(path, level, self.options.object_names)
        return [phrase or sentence for phrase in annotation.phrases(length)]

    def _files(self, episode: int) -> Iterable[Path]:
        yield self.layout.data(episode)
        yield from (
            self.layout.video(episode, key) for key, feature in self.features.items() if is_camera(feature)
        )
        if self.options.levels:
            yield self.layout.annotation(episode)
        if self._labelled:
            yield self.layout.description(episode)

    def _require_files(self) -> None:
        missing = [path for episode in self.episodes for path in self._files(episode) if not path.exists()]
        if missing:
            expected = "table and videos of every episode"
            if self.options.levels:
                chosen = {"--prompts": self.options.prompts, "--subtasks": self.options.subtasks}
                asked = (f"{name} {level}" for name, level in chosen.items() if level in self.options.levels)
                expected += f", and its annotation for {' and '.join(asked)}"
            if self._labelled:
                expected += ", and its description for --segmentation"
            raise ZooError(
                f"{len(missing)} files of the {len(self.episodes)} chosen episodes are missing",
                got="no " + first_names(path.relative_to(self.layout.root) for path in missing),
                expected=expected,
                do="fetch them, choose others with --tasks or --episodes, or add --on-error skip",
            )
        for episode in self.episodes:
            self.layout.sentence(episode)

    def _look_through_annotations(self, level: str, tolerate_damage: bool) -> Survey:
        frames = undescribed = unnamed = backwards = 0
        for episode in self.episodes:
            path, length = self.layout.annotation(episode), self.layout.lengths[episode]
            try:
                annotation = read_annotation(path, level, self.options.object_names)
            except ZooError:
                if tolerate_damage:
                    continue
                raise
            frames += length
            undescribed += annotation.phrases(length).count("")
            unnamed += annotation.unnamed
            backwards += annotation.backwards
        return Survey(level, frames, undescribed, unnamed, backwards)


def _camera_features(recorded: Mapping[str, Mapping[str, Any]], options: Options) -> dict[str, dict]:
    """LeRobot's features of all colour cameras and the chosen ones of depth and of instance ids."""
    colour = _cameras(recorded, _COLOUR)
    if not colour:
        raise ZooError(f"meta/info.json names no camera {_COLOUR}*", got=first_names(recorded))
    depth = _chosen(_cameras(recorded, _DEPTH), _DEPTH, "--depth", options.depth)
    labels = _chosen(_cameras(recorded, _IDS), _IDS, "--segmentation", options.segmentation)
    features: dict[str, dict] = {}
    for key in (*colour, *depth, *labels):
        channels = 3 if key in colour else 1
        features[key] = {
            "dtype": "video",
            "shape": (*_shrunk_size(key, recorded[key]["shape"], options.size), channels),
            "names": ["height", "width", "channels"],
        }
        if key in depth:
            features[key]["info"] = {"is_depth_map": True, "depth_unit": "m"}
        elif key in labels:
            features[key]["info"] = dict(LABELS_INFO)
    return features


def _cameras(recorded: Mapping[str, Any], kind: str) -> list[str]:
    return [
        key for key in recorded if key.startswith(kind) and _CAMERA_NAME.fullmatch(key.removeprefix(kind))
    ]


def _chosen(there: list[str], kind: str, option: str, value: str) -> list[str]:
    """The cameras that an option names: `none`, `all`, or names joined by commas."""
    if value == "none":
        return []
    if not there:
        raise ZooError(
            f"meta/info.json names no {option.removeprefix('--')} camera {kind}*",
            got=f"{option} {value}",
            do=f"convert with {option} none",
        )
    if value == "all":
        return there
    wanted = [kind + name.strip() for name in value.split(",")]
    if unknown := [key for key in wanted if key not in there]:
        raise ZooError(
            f"{option} {value} names a camera that is not there",
            got=", ".join(unknown),
            expected=f"none, all, or some of {', '.join(key.removeprefix(kind) for key in there)}",
        )
    return wanted


def _shrunk_size(key: str, shape: Any, size: int | None) -> tuple[int, int]:
    """Height and width when the longer side is at most `size`."""
    if not (isinstance(shape, list) and len(shape) == 3 and all(isinstance(side, int) for side in shape)):
        raise ZooError(
            f"meta/info.json: '{key}' is no camera",
            got=f"shape {shape}",
            expected="[height, width, channels]",
        )
    height, width = shape[:2]
    scale = min(1.0, size / max(height, width)) if size else 1.0
    return round(height * scale), round(width * scale)
