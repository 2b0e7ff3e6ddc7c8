"""Which rows have a picture of a camera that not every row must have.

T rows of a file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_dataset_vla_parquet.episodes import Part
from lerobot_dataset_vla_parquet.inputs import InputFile
from lerobot_plugins.conversion.parquet_rows import RowCursor


@dataclass(frozen=True)
class Presence:
    """One camera's pictures in all files.

    Args:
        missing: Numbers of the rows without a picture, by the number of the file.
        anywhere: Whether any row has a picture.
    """

    missing: Mapping[int, np.ndarray]
    anywhere: bool

    @classmethod
    def of(cls, masks: Mapping[int, np.ndarray]) -> "Presence":
        """From masks of the rows that have a picture, by the number of the file."""
        missing = {file: np.flatnonzero(~mask_T) for file, mask_T in masks.items() if not mask_T.all()}
        return cls(missing, any(mask_T.any() for mask_T in masks.values()))

    @staticmethod
    def read(file: InputFile, column: str, rows: int) -> np.ndarray:
        """The mask (T,) of one file. Where its statistics tell that nothing is null, nothing is read."""
        parquet = pq.ParquetFile(file.path)
        if column not in parquet.schema_arrow.names:
            return np.zeros(rows, bool)
        if _nulls(parquet.metadata, column) == 0:
            return np.ones(rows, bool)
        batches = RowCursor(file.path, (column,), file.name).rows(0, rows)
        return np.concatenate([np.empty(0, bool), *(_present(batch[column]) for batch in batches)])

    def first_missing(self, parts: Sequence[Part]) -> tuple[int, int] | None:
        """The first of an episode's rows without a picture, and its file."""
        for part in parts:
            missing = self.missing.get(part.file, np.empty(0, int))
            place = int(np.searchsorted(missing, part.start))
            if place < len(missing) and missing[place] < part.stop:
                return part.file, int(missing[place])
        return None


def _present(array: pa.Array) -> np.ndarray:
    mask_T = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_struct(array.type):
        # flatten() makes a field null where its struct is.
        field = array.flatten()[array.type.get_field_index("bytes")]
        return field.is_valid().to_numpy(zero_copy_only=False)
    return mask_T


def _nulls(metadata: pq.FileMetaData, column: str) -> int | None:
    """How many values of a column are null by the statistics of its row groups; None if they do not tell."""
    total = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        paths = [group.column(i).path_in_schema for i in range(group.num_columns)]
        wanted = [i for i, path in enumerate(paths) if path in (column, f"{column}.bytes")]
        if not wanted:
            return None
        statistics = group.column(wanted[0]).statistics
        if statistics is None or not statistics.has_null_count:
            return None
        total += statistics.null_count
    return total
