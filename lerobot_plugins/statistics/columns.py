"""Columns of a recorded dataset, read whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset

from lerobot_plugins.errors import ZooError

#: LeRobot's own.
INDEX_FEATURES = ("timestamp", "frame_index", "episode_index", "index", "task_index")


def recorded_column(meta: Any, key: str) -> np.ndarray:
    """All frames of one vector column, (T, D), in the order of the files.

    Args:
        meta: Metadata of a LeRobotDataset that is on disk.
        key: The feature.

    Raises:
        ZooError: The dataset's files are not there or lack the column.
    """
    folder = Path(meta.root) / "data"
    files = sorted(str(path) for path in folder.rglob("*.parquet"))
    if not files:
        raise ZooError(
            f"statistics of {key} must be computed from the frames, and they are not on disk",
            got=f"no parquet file in {folder}",
            expected="the dataset's data files",
            do="download the dataset first, or pass --policy.stats_source=file with --policy.stats_path",
        )
    column = pyarrow.dataset.dataset(files, format="parquet").to_table(columns=[key])[key]
    rows = column.combine_chunks()
    width = int(meta.features[key]["shape"][0])
    return rows.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), width)


def matrix(rows: pa.Array) -> np.ndarray:
    """A column of numbers or of lists of equal length, (T, D)."""
    if isinstance(rows, pa.ExtensionArray):
        rows = rows.storage
    length = len(rows)
    while (
        pa.types.is_list(rows.type)
        or pa.types.is_fixed_size_list(rows.type)
        or pa.types.is_large_list(rows.type)
    ):
        rows = rows.flatten()
    return rows.to_numpy(zero_copy_only=False).reshape(length, -1)
