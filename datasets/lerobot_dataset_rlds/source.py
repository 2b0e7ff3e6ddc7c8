"""An RLDS data set as a source of episodes.

T steps; D the shape of one step's value.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_dataset_rlds.dataset_info import RldsFolder, choose_splits, open_folder
from lerobot_dataset_rlds.example import Column, parse_example
from lerobot_dataset_rlds.features import (
    Field,
    count_steps,
    first_keys,
    read_fields,
    read_images,
    read_numbers,
    read_texts,
)
from lerobot_dataset_rlds.mapping import ColumnMapping, Part, RldsMapping
from lerobot_dataset_rlds.tfrecord import TFRecordShard
from lerobot_plugins.conversion import images
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.conversion.source import Episode, Frames
from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class RldsSource:
    """The episodes of some splits of one data set, seen through a mapping; an `EpisodeSource`.

    Args:
        folder: The data set.
        split: The names of its splits, joined by +.
        mapping: What becomes what.
        fields: The fields of features.json.
        shards: The shards of the splits in order.
        lengths: The number of episodes in each shard.
        features: LeRobot's features.
    """

    folder: RldsFolder
    split: str
    mapping: RldsMapping
    fields: Mapping[str, Field]
    shards: tuple[TFRecordShard, ...]
    lengths: tuple[int, ...]
    features: Mapping[str, Mapping[str, Any]]

    @classmethod
    def open(
        cls, path: Path, mapping: RldsMapping, split: str = "train", tolerate_damage: bool = False
    ) -> "RldsSource":
        """Find the data set at or below `path`, check it against the mapping, and open its shards.

        Args:
            path: A version folder or a folder above it.
            mapping: What becomes what.
            split: The names of splits, joined by +.
            tolerate_damage: Episodes that a damaged shard hides fail when they are read, not now.

        Raises:
            ZooError: The data set is incomplete, a shard is damaged or holds another number of episodes than
                dataset_info.json says, or the mapping asks for what is not there.
        """
        folder = open_folder(path)
        fields = read_fields(folder.features)
        splits = choose_splits(folder, split)
        lengths = tuple(length for chosen in splits for length in chosen.lengths)
        shards = tuple(TFRecordShard(shard, tolerate_damage) for chosen in splits for shard in chosen.shards)
        for shard, length in zip(shards, lengths, strict=True):
            if len(shard) == length or (len(shard) < length and shard.damage is not None):
                continue
            error = ZooError(
                f"{shard.path.name} holds another number of episodes than dataset_info.json says",
                got=len(shard),
                expected=length,
                do="download the shard and dataset_info.json again",
            )
            if len(shard) > length or not tolerate_damage:
                raise error
            shard.damage = error
        source = cls(folder, split, mapping, fields, shards, lengths, {})
        features = {key: source._column_feature(key, column) for key, column in mapping.columns.items()}
        features |= {key: source._camera_feature(camera.path) for key, camera in mapping.images.items()}
        if mapping.task_path is not None:
            source._field(mapping.task_path, "text")
        return cls(folder, split, mapping, fields, shards, lengths, features)

    @property
    def fps(self) -> int:
        """Frames per second."""
        return self.mapping.fps

    @property
    def robot_type(self) -> str:
        """LeRobot's name for the robot."""
        return self.mapping.robot_type

    def __len__(self) -> int:
        return sum(self.lengths)

    def read(self, index: int) -> Episode:
        """One episode; raises `ZooError` if it is damaged."""
        columns = self._example(index)
        steps = count_steps(self.fields, columns)
        return Episode(
            columns={
                key: self._column(column, columns, steps) for key, column in self.mapping.columns.items()
            },
            images={
                key: Frames(read_images(self.fields[camera.path], columns, steps), camera.turned)
                for key, camera in self.mapping.images.items()
            },
            tasks=self._tasks(columns, steps),
        )

    def locate(self, index: int) -> str:
        """Shard, record and byte of an episode."""
        shard, record = self._place(index)
        byte = f", byte {shard.records[record].offset}" if record < len(shard) else ""
        return f"{shard.path.name}, record {record}{byte}"

    def files(self, index: int) -> list[str]:
        """The shard of an episode."""
        return [self._place(index)[0].path.name]

    def fingerprint(self) -> dict[str, Any]:
        """All that decides what `read` returns; the shards by the checksums of their records."""
        description = json.dumps(self.folder.features, sort_keys=True)
        return {
            "format": "rlds",
            "name": self.folder.name,
            "version": self.folder.version,
            "split": self.split,
            "features_sha256": hashlib.sha256(description.encode()).hexdigest(),
            "shards": [
                {
                    "name": shard.path.name,
                    "bytes": shard.path.stat().st_size,
                    "episodes": length,
                    "checksums_sha256": shard.checksums_sha256(),
                }
                for shard, length in zip(self.shards, self.lengths, strict=True)
            ],
            "mapping": asdict(self.mapping),
        }

    def _place(self, index: int) -> tuple[TFRecordShard, int]:
        ends = list(accumulate(self.lengths))
        shard = bisect_right(ends, index)
        return self.shards[shard], index - (ends[shard] - self.lengths[shard])

    def _example(self, index: int) -> dict[str, Column]:
        shard, record = self._place(index)
        if record >= len(shard):
            assert shard.damage is not None, "open() refuses or notes a shard that is too short"
            raise shard.damage
        return parse_example(shard.read(record))

    def _tasks(self, columns: Mapping[str, Column], steps: int) -> list[str]:
        path, separator, part = (
            self.mapping.task_path,
            self.mapping.task_separator,
            self.mapping.task_part,
        )
        if path is None:
            return [str(self.mapping.task_text)] * steps
        texts = read_texts(self.fields[path], columns, steps)
        if separator is None:
            return texts
        for text in set(texts):
            if text.count(separator) < part:
                raise ZooError(
                    f"'{path}' has no part {part}",
                    got=text,
                    expected=f"at least {part + 1} parts with '{separator}' between them",
                    do="correct task in the mapping file (--mapping)",
                )
        return [text.split(separator)[part].strip() for text in texts]

    def _column(self, column: ColumnMapping, columns: Mapping[str, Column], steps: int) -> np.ndarray:
        parts = []
        for part in column.parts:
            values_TD = read_numbers(self.fields[part.path], columns, steps)
            parts.append(values_TD[:, None] if values_TD.ndim == 1 else values_TD[:, part.start : part.stop])
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _column_feature(self, key: str, column: ColumnMapping) -> dict[str, Any]:
        """LeRobot's feature for a numeric column: its parts' dimensions, one after the other."""
        empty = [np.empty((0, *self._part_shape(part, key)), self._part_dtype(part)) for part in column.parts]
        ranks = {part.ndim for part in empty}
        if len(ranks) > 1 or (len(empty) > 1 and ranks != {2}):
            raise ZooError(
                f"the mapping concatenates fields that are no vectors to '{key}'",
                got=", ".join(
                    f"{part.path} {shape.shape[1:]}" for part, shape in zip(column.parts, empty, strict=True)
                ),
                expected="vectors and scalars",
                do="correct its sources in the mapping file (--mapping)",
            )
        joined = np.concatenate(empty, axis=1)
        names = list(column.names) if column.names else _numbered(key, joined.shape[1:])
        if names is not None and (joined.ndim != 2 or len(names) != joined.shape[1]):
            raise ZooError(
                f"the mapping names other dimensions for '{key}' than the data set has",
                got=f"{len(names)} names: {', '.join(names)}",
                expected=f"one for each of {joined.shape[1:]}",
                do="correct its names or sources in the mapping file, or give no names",
            )
        return {"dtype": joined.dtype.name, "shape": joined.shape[1:], "names": names}

    def _part_dtype(self, part: Part) -> str:
        dtype = self.fields[part.path].dtype
        # An Example holds floats as float32, whatever the data set called them.
        return "float32" if np.dtype(dtype).kind == "f" else dtype

    def _part_shape(self, part: Part, key: str) -> tuple[int, ...]:
        shape = self._field(part.path, "number").shape or (1,)
        if part.start is None and part.stop is None:
            return shape
        dimensions = len(range(shape[0])[part.start : part.stop])
        beyond = any(abs(bound) > shape[0] for bound in (part.start, part.stop) if bound is not None)
        if len(shape) != 1 or not dimensions or beyond:
            raise ZooError(
                f"the mapping slices '{part.path}' for '{key}' where nothing is",
                got=f"[{part.start}, {part.stop}] of {shape}",
                expected=f"some of the dimensions 0 to {shape[0]} of a vector",
                do="correct the slice in the mapping file (--mapping)",
            )
        return (dimensions,)

    def _camera_feature(self, path: str) -> dict[str, Any]:
        height, width, channels = self._field(path, "image").shape
        if height < 0 or width < 0:
            height, width = self._picture_size(path)
        return {
            "dtype": "image",
            "shape": (height, width, channels),
            "names": ["height", "width", "channels"],
        }

    def _picture_size(self, path: str) -> tuple[int, int]:
        """Height and width of a camera's pictures, by the first one that can be read."""
        first_problem = None
        for index in range(len(self)):
            try:
                with located(f"episode {index} ({self.locate(index)}): the size of '{path}'"):
                    columns = self._example(index)
                    for encoded in read_images(self.fields[path], columns, count_steps(self.fields, columns)):
                        return images.size(encoded)
            except ZooError as error:
                # Its turn to stop the work, or to be skipped, comes when the episodes are read.
                first_problem = first_problem or error
        raise first_problem or ZooError(
            f"nothing tells the size of '{path}'",
            got=f"no fixed size in features.json, and no picture in {len(self)} episodes",
            expected="one of the two",
            do="leave the camera out of the mapping",
        )

    def _field(self, path: str, kind: str) -> Field:
        """A field that the mapping asks for; it must exist and be of the kind that is asked for."""
        if path not in self.fields:
            raise ZooError(
                f"the mapping asks for '{path}', which '{self.folder.name}' does not have",
                got=first_keys(self.fields),
                expected="one of these fields",
                do="correct the path in the mapping file (--mapping)",
            )
        field = self.fields[path]
        if field.kind != kind:
            got = field.problem if field.kind == "unsupported" else f"a field of the kind {field.kind}"
            raise ZooError(
                f"the mapping uses '{path}' as a field of the kind {kind}",
                got=got,
                expected=f"one of {first_keys({p: f for p, f in self.fields.items() if f.kind == kind})}",
                do="correct the path in the mapping file (--mapping)",
            )
        return field


def _numbered(key: str, shape: tuple[int, ...]) -> list[str] | None:
    """Names for the dimensions of an unnamed vector."""
    return [f"{key.rpartition('.')[2]}_{i}" for i in range(shape[0])] if len(shape) == 1 else None
