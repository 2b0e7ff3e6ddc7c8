"""Rows of a Parquet file read forwards, a batch at a time, whatever the size of its row groups.

Row groups before the wanted row are never touched. Within one, rows can only be passed over; so a cursor
stays where it is, and episodes read one after the other pass over each row once, even if the whole file is a
single row group.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_plugins.errors import ZooError

# Pictures of about 50 kB: some megabytes at a time.
BATCH_ROWS = 64
_OPEN_CURSORS = 16


class RowCursor:
    """A place in some columns of one file.

    Args:
        path: The file.
        columns: Names of the columns; fields of a struct as `struct.field`.
        name: What messages call the file.

    Raises:
        ZooError: The file is no Parquet file, or damaged where it is read.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], name: str = "") -> None:
        self.name = name or path.name
        self._columns = list(columns)
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.name, error) from error
        groups = range(self._file.metadata.num_row_groups)
        sizes = [self._file.metadata.row_group(group).num_rows for group in groups]
        self._group_starts = [sum(sizes[:group]) for group in groups]
        self._batch = pa.RecordBatch.from_pylist([])
        self._restart(0)

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def row(self, number: int) -> pa.RecordBatch:
        """One row, as a batch of one."""
        self._advance_to(number)
        return self._batch.slice(number - self._start, 1)

    def rows(self, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        """The rows from `start` to before `stop`, in batches."""
        while start < stop:
            self._advance_to(start)
            batch = self._batch.slice(start - self._start, stop - start)
            start += len(batch)
            yield batch

    def _advance_to(self, number: int) -> None:
        if not 0 <= number < len(self):
            raise ZooError(f"{self.name} has no row {number}", got=f"{len(self)} rows")
        group = sum(first <= number for first in self._group_starts) - 1
        if number < self._start or self._group_starts[group] >= self._start + len(self._batch):
            self._restart(group)
        while number >= self._start + len(self._batch):
            self._start += len(self._batch)
            try:
                self._batch = next(self._batches)
            except (pa.ArrowException, OSError) as error:
                self._restart(0)
                raise _unreadable(self.name, error) from error

    def _restart(self, group: int) -> None:
        """Stand before the first row of a row group."""
        self._batches = self._from(group)
        self._start = self._group_starts[group] if self._group_starts else 0
        self._batch = pa.RecordBatch.from_pylist([])

    def _from(self, group: int) -> Iterator[pa.RecordBatch]:
        # One row group at a time: a batch across two would fail for the one that is whole as well.
        for number in range(group, len(self._group_starts)):
            # Whoever reads in parallel has a process for each reader.
            yield from self._file.iter_batches(BATCH_ROWS, [number], self._columns, use_threads=False)


def cursor(path: Path, columns: tuple[str, ...], name: str = "") -> RowCursor:
    """The cursor of this process for some columns of a file, where it was left."""
    stat = path.stat()
    return _cursor(path, columns, name, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=_OPEN_CURSORS)
def _cursor(path: Path, columns: tuple[str, ...], name: str, *_of_the_file: int) -> RowCursor:
    return RowCursor(path, columns, name)


def _unreadable(name: str, error: Exception) -> ZooError:
    return ZooError(
        f"{name} cannot be read",
        got=" ".join(str(error).split()),
        expected="a whole Parquet file",
        do="fetch or write the file again",
    )
