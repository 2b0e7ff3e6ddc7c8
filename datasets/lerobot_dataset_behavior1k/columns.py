"""The numbers of an episode: proprioception, state and action, from its parquet file.

T frames; D the shape of one frame's value.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError, first_names

STATE, ACTION, TIME = "observation.state", "action", "timestamp"
PROPRIOCEPTION = "observation.proprioception"
_DIMENSIONS = {STATE: r1pro.PROPRIOCEPTION_DIM, ACTION: len(r1pro.ACTION_NAMES)}
_RELIABLE = r1pro.reliable_indices()


def column_features(proprioception: bool) -> dict[str, dict]:
    """LeRobot's features of what `read_columns` returns."""
    all_names = r1pro.proprioception_names()
    names = {STATE: list(r1pro.STATE_NAMES), ACTION: list(r1pro.ACTION_NAMES)}
    if proprioception:
        names[PROPRIOCEPTION] = [all_names[index] for index in _RELIABLE]
    return {key: {"dtype": "float32", "shape": (len(n),), "names": n} for key, n in names.items()}


def read_columns(path: Path, length: int, fps: int, proprioception: bool) -> dict[str, np.ndarray]:
    """State and action, and if asked for all proprioception but the joint efforts, float32 (T, D).

    Args:
        path: The episode's parquet file.
        length: How many frames it must have.
        fps: Its frame rate, which its timestamps must show.
        proprioception: Whether to return it.

    Raises:
        ZooError: The file is missing or damaged, or has other columns, frames or times.
    """
    table = _read(path)
    if len(table) != length:
        raise ZooError(
            "the table has another number of frames than meta/episodes.jsonl says",
            got=len(table),
            expected=length,
            do="fetch both again",
        )
    _check_times(table[TIME], fps)
    recorded_TP = _vectors(table, STATE)
    columns = {STATE: r1pro.state_from_proprioception(recorded_TP), ACTION: _vectors(table, ACTION)}
    if proprioception:
        columns[PROPRIOCEPTION] = recorded_TP[:, _RELIABLE]
    return columns


def _read(path: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read(columns=[STATE, ACTION, TIME])
    except FileNotFoundError as error:
        raise ZooError("the table is missing", do="fetch it") from error
    except (OSError, pa.ArrowException) as error:
        raise ZooError(f"the table is damaged: {error}", do="fetch it again") from error
    missing = {STATE, ACTION, TIME} - set(table.column_names)
    if missing:
        raise ZooError("the table lacks columns", got=f"no {first_names(missing)}")
    return table


def _vectors(table: pa.Table, key: str) -> np.ndarray:
    """A column of lists of one length as float32 (T, D)."""
    column, dimensions = table[key].combine_chunks(), _DIMENSIONS[key]
    if not (pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type)):
        raise ZooError(f"'{key}' holds no vectors", got=column.type, expected="lists of numbers")
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if lengths not in ([dimensions], []):
        raise ZooError(f"'{key}' has another length", got=lengths, expected=f"{dimensions} numbers a frame")
    values = column.flatten()
    if values.null_count:
        raise ZooError(f"'{key}' lacks numbers", got=f"{values.null_count} nulls")
    return values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, dimensions)


def _check_times(column: pa.ChunkedArray, fps: int) -> None:
    """Rows must follow each other like the pictures of a video do."""
    times_T = column.to_numpy()
    late_T = np.abs(times_T - times_T[:1] - np.arange(len(times_T)) / fps) > 0.5 / fps
    if late_T.any():
        frame = int(late_T.argmax())
        raise ZooError(
            f"frame {frame} is not where the frame rate puts it",
            got=f"{times_T[frame] - times_T[0]:.4f} s",
            expected=f"{frame / fps:.4f} s at {fps} fps",
        )
