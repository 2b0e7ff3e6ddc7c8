"""The rows of meta/episodes: where each episode lies, and its statistics."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from lerobot.datasets.utils import DEFAULT_EPISODES_PATH

from lerobot_plugins.conversion.layout import FileLimits, assign_files
from lerobot_plugins.statistics.exact import Statistics


def statistics_columns(statistics: Mapping[str, Statistics]) -> dict[str, Any]:
    """One episode's statistics as LeRobot's columns `stats/<feature>/<statistic>`."""
    return {
        f"stats/{key}/{name}": value.tolist()
        for key, entries in statistics.items()
        for name, value in entries.items()
    }


def write_episodes(rows: Sequence[dict[str, Any]], limits: FileLimits, root: Path) -> None:
    """Write the rows, in files of at most LeRobot's size for data."""
    sizes = [pa.Table.from_pylist([row]).nbytes for row in rows]
    for place in assign_files(sizes, limits.data_mb, limits.files_per_chunk):
        path = root / DEFAULT_EPISODES_PATH.format(chunk_index=place.chunk, file_index=place.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        indices = {"meta/episodes/chunk_index": place.chunk, "meta/episodes/file_index": place.file}
        table = pa.Table.from_pylist([rows[index] | indices for index in place.episodes])
        pq.write_table(table, path, compression="snappy")
