"""One episode: checked, its pictures encoded or kept, staged as an Arrow file and one video a camera.

The Arrow file holds the numeric columns, the task of each frame, and with `--images jpeg` the pictures'
bytes; its metadata holds the histograms of the sampled pictures. Assembling the dataset maps it into memory.

T frames; H, W, C height, width, channels; D one frame's value, flattened; V the 256 intensities.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from lerobot_plugins.conversion import images, video
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.conversion.source import Episode, EpisodeSource, Frames, is_camera
from lerobot_plugins.conversion.staging import Staging
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.images import histogram, sampled

ImageStorage = Literal["video", "jpeg"]
ARROW_FILE = "episode.arrow"
TASK_COLUMN = "task"


def video_file(camera: str) -> str:
    """The name of a staged episode's video."""
    return f"{camera}.mp4"


def histogram_key(camera: str) -> bytes:
    """The name of a camera's histogram in the Arrow file's metadata: int64, (C, V)."""
    return f"histogram {camera}".encode()


def stage_episode(source: EpisodeSource, index: int, staging: Staging, storage: ImageStorage) -> int:
    """Read, check and stage one episode.

    Returns:
        Its number of frames.

    Raises:
        ZooError: The episode is damaged or does not fit the features; the message says where it lies.
    """
    with located(f"episode {index} ({source.locate(index)})"):
        episode = source.read(index)
        check(episode, source.features)
        with staging.write_episode(index) as folder:
            _write(episode, source, folder, storage)
    return len(episode.tasks)


def check(episode: Episode, features: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare an episode with the features; pictures are checked where they are decoded."""
    frames = len(episode.tasks)
    if not frames:
        raise ZooError("it has no frames", do="leave it out with --on-error skip")
    for key, feature in features.items():
        if is_camera(feature):
            if len(episode.images[key].encoded) != frames:
                raise ZooError(
                    f"{key} has another number of frames",
                    got=len(episode.images[key].encoded),
                    expected=frames,
                )
        else:
            _check_column(key, episode.columns[key], feature, frames)


def _check_column(key: str, values_TD: np.ndarray, feature: Mapping[str, Any], frames: int) -> None:
    expected = (frames, *feature["shape"])
    if values_TD.shape != expected:
        raise ZooError(
            f"{key} has other dimensions",
            got=values_TD.shape,
            expected=f"{expected}: frames, then {feature['names']}",
        )
    if values_TD.dtype != np.dtype(feature["dtype"]):
        raise ZooError(f"{key} has another dtype", got=values_TD.dtype, expected=feature["dtype"])
    finite_TD = np.isfinite(values_TD)
    if not finite_TD.all():
        frame, *place = np.argwhere(~finite_TD)[0].tolist()
        names = feature["names"]
        dimension = names[place[0]] if names and len(place) == 1 else place
        raise ZooError(
            f"{key}, dimension {dimension}, is not finite in frame {frame}",
            got=values_TD[(frame, *place)],
            expected="finite numbers",
            do="repair the source, or leave the episode out with --on-error skip",
        )


def _write(episode: Episode, source: EpisodeSource, folder: Path, storage: ImageStorage) -> None:
    columns: dict[str, pa.Array] = {TASK_COLUMN: pa.array(episode.tasks, pa.string())}
    histograms: dict[bytes, bytes] = {}
    for key, feature in source.features.items():
        if not is_camera(feature):
            columns[key] = _numbers(episode.columns[key])
            continue
        frames, shape = episode.images[key], tuple(feature["shape"])
        counts_CV = np.zeros((shape[2], 256), dtype=np.int64)
        if storage == "video":
            decoded = _decoded(key, frames, shape, counts_CV)
            video.encode(decoded, source.fps, shape, folder / video_file(key))
        else:
            columns[key] = _kept(key, frames, shape, counts_CV)
        histograms[histogram_key(key)] = counts_CV.tobytes()
    batch = pa.record_batch(columns).replace_schema_metadata(histograms)
    with pa.OSFile(str(folder / ARROW_FILE), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def _numbers(values_TD: np.ndarray) -> pa.Array:
    """A numeric column, each frame's value flattened."""
    frames = values_TD.shape[0]
    return pa.FixedSizeListArray.from_arrays(pa.array(values_TD.reshape(-1)), values_TD.size // frames)


def _decoded(key: str, frames: Frames, shape: tuple[int, ...], counts_CV: np.ndarray) -> Iterator[np.ndarray]:
    """Decode the pictures one by one, adding the sampled ones to `counts_CV`."""
    in_sample = sampled(len(frames.encoded))
    for number, encoded in enumerate(frames.encoded):
        with located(f"{key}, frame {number}"):
            image_HWC = images.decode(encoded, shape)
        if number in in_sample:
            counts_CV += histogram(image_HWC)
        yield np.ascontiguousarray(image_HWC[::-1, ::-1]) if frames.turned else image_HWC


def _kept(key: str, frames: Frames, shape: tuple[int, ...], counts_CV: np.ndarray) -> pa.Array:
    """The untouched, verified bytes of the pictures as a column of LeRobot's image structs."""
    if frames.turned:
        raise ZooError(f"{key} must be rotated, which changes its bytes", do="convert with --images video")
    in_sample = sampled(len(frames.encoded))
    paths = []
    for number, encoded in enumerate(frames.encoded):
        with located(f"{key}, frame {number}"):
            if number in in_sample:
                counts_CV += histogram(images.decode(encoded, shape))
            else:
                images.verify(encoded, shape)
            paths.append(f"frame-{number:06d}{images.suffix(encoded)}")
    return pa.StructArray.from_arrays(
        [pa.array(frames.encoded, pa.binary()), pa.array(paths)], ["bytes", "path"]
    )
