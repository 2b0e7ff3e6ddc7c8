"""A few pictures of a camera, decoded from its video or its image column.

H, W, C height, width, channels.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from lerobot_plugins.doctor.dataset.recorded import UNREADABLE, Recorded
from lerobot_plugins.paths import inside

#: A seek may land on a picture whose predecessors cannot be decoded from there: then one begins earlier.
_EARLIER_S = (0.0, 1.0, 10.0, 1e6)
UNDECODABLE = (av.error.FFmpegError, OSError, ValueError, IndexError)


class MissingPicture(Exception):  # noqa: N818  what happened, not an error of the program
    """A picture that is not there or cannot be decoded; the text says why."""


def video_path(recorded: Recorded, camera: str, row: Mapping[str, Any]) -> Path:
    """The video file that holds an episode.

    Raises:
        MissingPicture: meta/episodes does not say which, or the file is not there.
    """
    template = recorded.info.get("video_path")
    chunk, file = row.get(f"videos/{camera}/chunk_index"), row.get(f"videos/{camera}/file_index")
    if not template or chunk is None or file is None:
        raise MissingPicture("meta/episodes does not say which video holds it")
    name = str(template).format(video_key=camera, chunk_index=chunk, file_index=file)
    path = inside(recorded.root, name, recorded.root / "meta/info.json")
    if not path.is_file():
        raise MissingPicture(f"{path.relative_to(recorded.root)} is missing")
    return path


def from_video(path: Path, times: Sequence[float], depth: bool) -> list[np.ndarray]:
    """The pictures shown at ascending times, each (H, W, C).

    Raises:
        MissingPicture: The video ends earlier, or is damaged.
    """
    found: list[np.ndarray] = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            for time in times:
                found.append(_array(_shown(container, stream, time), depth))
    except UNDECODABLE as error:
        raise MissingPicture(f"{path.name} cannot be decoded: {type(error).__name__}: {error}") from error
    return found


def _shown(container: Any, stream: Any, time: float) -> av.VideoFrame:
    half = 0.5 / float(stream.average_rate or 30)
    found: float | None = None
    for earlier in _EARLIER_S:
        container.seek(max(0, int((time - earlier) / stream.time_base)), stream=stream)
        for frame in container.decode(stream):
            shown = float(frame.pts * stream.time_base)
            if abs(shown - time) <= half:
                return frame
            found = shown
            if shown > time:
                break
    end = "nothing" if found is None else f"{found:.2f} s"
    raise MissingPicture(f"the video has no picture at {time:.2f} s (found {end})")


def _array(frame: av.VideoFrame, depth: bool) -> np.ndarray:
    if not depth:
        return frame.to_ndarray(format="rgb24")
    grey = frame if frame.format.name.startswith("gray") else frame.reformat(format="gray16le")
    return grey.to_ndarray()[..., None]


def from_images(
    recorded: Recorded, camera: str, row: Mapping[str, Any], frames: Sequence[int]
) -> list[np.ndarray]:
    """The pictures of frames of an episode, each (H, W, C), from the parquet file that holds it.

    Raises:
        MissingPicture: It does not hold them, or one is damaged.
    """
    wanted = [int(row["dataset_from_index"]) + frame for frame in frames]
    template, chunk = recorded.info.get("data_path"), row.get("data/chunk_index")
    name = str(template).format(chunk_index=chunk, file_index=row.get("data/file_index"))
    path = inside(recorded.root, name, recorded.root / "meta/info.json")
    found: dict[int, np.ndarray] = {}
    try:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            index_T = file.read_row_group(group, columns=["index"])["index"].to_numpy()
            rows = np.flatnonzero(np.isin(index_T, wanted))
            if len(rows):
                column = file.read_row_group(group, columns=[camera])[camera]
                found |= {int(index_T[i]): _picture(recorded, column[int(i)].as_py()) for i in rows}
    except (*UNREADABLE, *UNDECODABLE) as error:
        raise MissingPicture(f"{path.name}: {type(error).__name__}: {error}") from error
    if absent := [index for index in wanted if index not in found]:
        raise MissingPicture(f"{path.name} does not hold frame {absent[0]}")
    return [found[index] for index in wanted]


def _picture(recorded: Recorded, stored: Mapping[str, Any]) -> np.ndarray:
    content = stored.get("bytes")
    source = BytesIO(content) if content else inside(recorded.root, stored.get("path"), "a picture")
    with Image.open(source) as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]
