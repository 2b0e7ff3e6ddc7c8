"""Small recordings as rows of Parquet files, and what is wrong with them."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from rlds_samples import encoded

from lerobot_dataset_vla_parquet.inputs import find_files
from lerobot_dataset_vla_parquet.options import Options
from lerobot_dataset_vla_parquet.source import VlaParquetSource

Row = dict[str, Any]
SHARED_ROWS = Path(__file__).resolve().parents[3] / "shared" / "data" / "parquet_vla"
SIZE = 32
TYPES = {
    "image_1": pa.binary(),
    "image_2": pa.binary(),
    "state": pa.list_(pa.float32()),
    "action": pa.list_(pa.float64()),
    "prompt": pa.string(),
    "is_first": pa.bool_(),
    "is_last": pa.bool_(),
    "is_terminal": pa.bool_(),
}


def episode_rows(number: int, length: int) -> list[Row]:
    """One good episode; the numbers tell the episode and the step."""
    generator = np.random.default_rng(number)
    return [
        {
            "image_1": encoded(1000 * number + step, size=SIZE),
            "image_2": encoded(1000 * number + step + 500, size=SIZE),
            "state": [float(number), float(step), *generator.random(2).round(3).tolist()],
            "action": generator.random(3).round(3).tolist(),
            "prompt": f"task {number % 2}",
            "is_first": step == 0,
            "is_last": step == length - 1,
            "is_terminal": step == length - 1,
        }
        for step in range(length)
    ]


def recording(lengths: Sequence[int] = (5, 4, 3)) -> list[Row]:
    """Good episodes one after the other."""
    return [row for number, length in enumerate(lengths) for row in episode_rows(number, length)]


def write(path: Path, rows: Sequence[Row], group: int | None = None, **types: pa.DataType | None) -> Path:
    """Write rows; `types` replaces the type of a column, or leaves it out if it is None."""
    chosen = {column: kind for column, kind in (TYPES | types).items() if kind is not None}
    columns = {column: pa.array([row.get(column) for row in rows], kind) for column, kind in chosen.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


def changed(change: Callable[[list[Row]], object], lengths: Sequence[int] = (5, 4, 3)) -> list[Row]:
    """A recording in which something was changed in place."""
    rows = recording(lengths)
    change(rows)
    return rows


def source(path: Path, tolerate: bool = False, **options: Any) -> VlaParquetSource:
    """The recording at `path`, opened."""
    return VlaParquetSource.open(find_files([str(path)]), Options(fps=10, **options), tolerate)


def picture_file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
