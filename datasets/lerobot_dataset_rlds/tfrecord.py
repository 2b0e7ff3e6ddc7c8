"""The TFRecord container: a walk over its records with every checksum verified, and a writer.

One record is framed as (https://www.tensorflow.org/tutorials/load_data/tfrecord):

    uint64 length | uint32 masked CRC-32C of length | byte data[length] | uint32 masked CRC-32C of data

all little endian. A shard is opened by walking its headers only, so episodes can be counted and read in any
order; the data's checksum is verified whenever a record is read.
"""

import hashlib
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import google_crc32c
import numpy as np

from lerobot_plugins.conversion.locating import SKIP_ADVICE, advised
from lerobot_plugins.errors import ZooError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8
FRAMING_BYTES = _HEADER.size + _FOOTER.size


@dataclass(frozen=True)
class Record:
    """Where one record lies: its number in the shard, the offset of its header, the length of its data."""

    index: int
    offset: int
    length: int


class TFRecordShard:
    """One TFRecord file, mapped into memory.

    Opening walks the headers. The walk ends at the first damaged header, since what follows cannot be found
    any more; `records` then holds those before it and `damage` the error.

    Args:
        path: The shard.
        tolerate_damage: Keep `damage` for the caller instead of raising it.

    Raises:
        ZooError: A header's checksum is wrong, or the file ends within a record.
    """

    def __init__(self, path: Path, tolerate_damage: bool = False) -> None:
        self.path = path
        self._bytes = _map(path)
        self.records: list[Record] = []
        self.damage: ZooError | None = None
        try:
            self.records.extend(self._walk_headers())
        except ZooError as error:
            if not tolerate_damage:
                raise advised(error, SKIP_ADVICE) from error
            self.damage = error

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[memoryview]:
        return (self.read(index) for index in range(len(self)))

    def read(self, index: int) -> memoryview:
        """The data of one record, its checksum verified; the view stays valid as long as it is held.

        Raises:
            ZooError: It is damaged; where it lies is for the caller to say, who knows the episode as well.
        """
        record = self.records[index]
        start = record.offset + _HEADER.size
        data = self._bytes[start : start + record.length]
        (stored,) = _FOOTER.unpack_from(self._bytes, start + record.length)
        _check(stored, data, "the record's data is damaged")
        return data.data

    def checksums_sha256(self) -> str:
        """A digest of the stored headers and checksums: it stands for the content but reads little of it."""
        digest = hashlib.sha256()
        for record in self.records:
            start, end = record.offset + _HEADER.size, record.offset + _HEADER.size + record.length
            digest.update(self._bytes[record.offset : start])
            digest.update(self._bytes[end : end + _FOOTER.size])
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        # A worker process maps the file itself.
        return {name: value for name, value in self.__dict__.items() if name != "_bytes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bytes = _map(self.path)

    def _walk_headers(self) -> Iterator[Record]:
        offset, size = 0, len(self._bytes)
        index = 0
        while offset < size:
            where = self._where(index, offset)
            if size - offset < FRAMING_BYTES:
                raise _truncated(where, size - offset, FRAMING_BYTES)
            length, stored = _HEADER.unpack_from(self._bytes, offset)
            _check(stored, self._bytes[offset : offset + 8], f"{where}: its length field is damaged")
            if length > size - offset - FRAMING_BYTES:
                raise _truncated(where, size - offset, length + FRAMING_BYTES)
            yield Record(index, offset, length)
            offset += length + FRAMING_BYTES
            index += 1

    def _where(self, index: int, offset: int) -> str:
        return f"{self.path.name}, record {index} at byte {offset}"


class TFRecordWriter:
    """Writes records to a new file, which appears under its name only when the writer is closed.

    Args:
        path: The file to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data_bytes = 0
        self.records = 0
        self._temporary = path.with_name(path.name + ".partial")
        self._file: BinaryIO = self._temporary.open("wb")

    def write(self, data: bytes) -> None:
        """Append one record."""
        length = struct.pack("<Q", len(data))
        self._file.write(length + _FOOTER.pack(masked_crc32c(length)))
        self._file.write(data)
        self._file.write(_FOOTER.pack(masked_crc32c(data)))
        self.data_bytes += len(data)
        self.records += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink()


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """CRC-32C, rotated and shifted as TFRecord stores it, so that a CRC of data holding CRCs stays useful."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _map(path: Path) -> np.ndarray:
    """The file as read-only uint8; an array, because the CRC takes arrays without a copy, memoryviews not."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return np.frombuffer(b"", dtype=np.uint8)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)


def _check(stored: int, data: np.ndarray, what: str) -> None:
    computed = masked_crc32c(data)
    if stored != computed:
        raise ZooError(
            what,
            got=f"CRC-32C {computed:#010x}",
            expected=f"{stored:#010x}, as stored",
            do="download or generate this shard again",
        )


def _truncated(where: str, got: int, expected: int) -> ZooError:
    return ZooError(
        f"{where}: the shard is truncated",
        got=f"{got} bytes until the end of the file",
        expected=f"{expected} bytes",
        do="download or generate this shard again",
    )
