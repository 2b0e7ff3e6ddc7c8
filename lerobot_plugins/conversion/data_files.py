"""The parquet files of a LeRobotDataset v3: one row group for each episode.

T frames; D the shape of one frame's value.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.features.features import numpy_to_pyarrow_listarray
from lerobot.datasets.feature_utils import get_hf_features_from_features
from lerobot.utils.constants import DEFAULT_FEATURES

from lerobot_plugins.conversion.staged import StagedEpisode

Features = Mapping[str, Mapping[str, Any]]


def index_columns(
    length: int, fps: int, episode_index: int, first_index: int, task_indices: Sequence[int]
) -> dict[str, np.ndarray]:
    """The columns that LeRobot adds to every dataset, each (T, 1)."""
    frames = np.arange(length)
    columns = {
        "timestamp": frames / fps,
        "frame_index": frames,
        "episode_index": np.full(length, episode_index),
        "index": first_index + frames,
        "task_index": np.asarray(task_indices),
    }
    return {key: columns[key].astype(DEFAULT_FEATURES[key]["dtype"])[:, None] for key in DEFAULT_FEATURES}


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

    def write(self, episode: StagedEpisode, numbers: Mapping[str, np.ndarray]) -> None:
        """Append an episode as a row group: its pictures, and the numeric columns (T, D)."""
        columns = [
            self._column(field.type, numbers[field.name])
            if field.name in numbers
            else episode.batch.column(field.name)
            for field in self._schema
        ]
        self._writer.write_table(
            pa.Table.from_arrays(columns, schema=self._schema), row_group_size=episode.length
        )

    def _column(self, kind: pa.DataType, values_TD: np.ndarray) -> pa.Array:
        if isinstance(kind, pa.ExtensionType):
            return pa.ExtensionArray.from_storage(kind, numpy_to_pyarrow_listarray(values_TD))
        if pa.types.is_fixed_size_list(kind):
            return pa.FixedSizeListArray.from_arrays(pa.array(values_TD.reshape(-1)), type=kind)
        return pa.array(values_TD.reshape(-1), kind)
