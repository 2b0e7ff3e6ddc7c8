"""Which episode goes into which file: decided by order and sizes alone, under LeRobot's limits."""

from collections.abc import Sequence
from dataclasses import dataclass

_MEGABYTE = 1024**2


@dataclass(frozen=True)
class FileLimits:
    """LeRobot's limits, as they stand in info.json.

    Args:
        data_mb: Size of a parquet file.
        video_mb: Size of a video file.
        files_per_chunk: Files in one `chunk-000` folder.
    """

    data_mb: int = 100
    video_mb: int = 200
    files_per_chunk: int = 1000


@dataclass(frozen=True)
class Place:
    """One file and the episodes in it."""

    chunk: int
    file: int
    episodes: range


def assign_files(sizes: Sequence[int], limit_mb: int, files_per_chunk: int) -> list[Place]:
    """Fill files with whole episodes in order; an episode beyond the limit has a file of its own.

    Args:
        sizes: Bytes of each episode.
        limit_mb: Size at which a file is full.
        files_per_chunk: Number of files at which a chunk is full.
    """
    starts, filled = [0], 0
    for episode, size in enumerate(sizes):
        if filled and filled + size > limit_mb * _MEGABYTE:
            starts.append(episode)
            filled = 0
        filled += size
    ends = [*starts[1:], len(sizes)]
    return [
        Place(number // files_per_chunk, number % files_per_chunk, range(start, end))
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
