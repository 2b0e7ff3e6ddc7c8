"""The parquet files of a LeRobotDataset v3: one row group for each episode.

T frames; D the shape of one frame's value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.features.features import numpy_to_pyarrow_listarray
from lerobot.datasets.feature_utils import get_hf_features_from_features
from lerobot.utils.constants import DEFAULT_FEATURES

from lerobot_plugins.conversion import images

Features = Mapping[str, Mapping[str, Any]]


def index_columns(
    length: int, fps: int, episode_index: int, first_index: int, task_indices: np.ndarray
) -> dict[str, np.ndarray]:
    """The columns that LeRobot adds to every dataset, each (T, 1)."""
    frames = np.arange(length)
    columns = {
        "timestamp": frames / fps,
        "frame_index": frames,
        "episode_index": np.full(length, episode_index),
        "index": first_index + frames,
        "task_index": task_indices,
    }
    return {key: columns[key].astype(DEFAULT_FEATURES[key]["dtype"])[:, None] for key in DEFAULT_FEATURES}


@dataclass(frozen=True)
class Pictures:
    """The files of one camera's pictures: one after the other in `path`, and where each of the T ends."""

    path: Path
    ends_T: np.ndarray

    def column(self) -> pa.Array:
        """LeRobot's image structs over the mapped file; nothing is copied."""
        with pa.memory_map(str(self.path)) as file:
            content = file.read_buffer()
        offsets = np.concatenate([[0], self.ends_T]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), content]
        encoded = pa.Array.from_buffers(pa.binary(), len(self.ends_T), buffers)
        view = memoryview(content).cast("B")
        names = [f"frame-{i:06d}{images.suffix(view[start:])}" for i, start in enumerate(offsets[:-1])]
        return pa.StructArray.from_arrays([encoded, pa.array(names)], ["bytes", "path"])


class DataFile:
    """One parquet file being written; a context manager.

    Args:
        path: The file.
        features: LeRobot's features of the whole dataset; those stored as videos have no column.
    """

    def __init__(self, path: Path, features: Features) -> None:
        self._features = {key: feature for key, feature in features.items() if feature["dtype"] != "video"}
        self._schema = get_hf_features_from_features(self._features).arrow_schema
        # Parquet would look for repeated pictures, and store the smallest and the largest of each row group.
        scalars = [field.name for field in self._schema if pa.types.is_primitive(field.type)]
        has_pictures = any(feature["dtype"] == "image" for feature in self._features.values())
        indexed: bool | list[str] = scalars if has_pictures else True
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(
            path, self._schema, compression="snappy", use_dictionary=indexed, write_statistics=indexed
        )

    def __enter__(self) -> "DataFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, columns: Mapping[str, np.ndarray], pictures: Mapping[str, Pictures]) -> None:
        """Append an episode as a row group: its numeric columns (T, D), and its pictures."""
        arrays = [
            pictures[field.name].column()
            if field.name in pictures
            else _numbers(field.type, columns[field.name])
            for field in self._schema
        ]
        table = pa.Table.from_arrays(arrays, schema=self._schema)
        self._writer.write_table(table, row_group_size=len(table))


def _numbers(kind: pa.DataType, values_TD: np.ndarray) -> pa.Array:
    if isinstance(kind, pa.ExtensionType):
        return pa.ExtensionArray.from_storage(kind, numpy_to_pyarrow_listarray(values_TD))
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(values_TD.reshape(-1)), type=kind)
    return pa.array(values_TD.reshape(-1), kind)
