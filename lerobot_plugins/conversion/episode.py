"""One episode: checked, its pictures encoded or kept, and staged.

T frames; D the shape of one frame's value; C channels; V intensities.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lerobot_plugins.conversion import images, pictures, video
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.conversion.source import (
    SUBTASK_INDEX,
    Clip,
    Episode,
    EpisodeSource,
    Frames,
    is_camera,
    is_depth,
    is_labels,
)
from lerobot_plugins.conversion.staged import StagedEpisode, pictures_path, video_path
from lerobot_plugins.conversion.staging import Staging
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.images import sampled

ImageStorage = Literal["video", "jpeg"]
# Arrow counts the bytes of a column's pictures with 31 bits.
_MAX_PICTURE_BYTES = 2**31 - 1


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
        raise ZooError("it has no frames", got=0, expected="at least one")
    for key, feature in features.items():
        if is_camera(feature):
            if len(episode.images[key]) != frames:
                raise ZooError(
                    f"{key} has another number of frames", got=len(episode.images[key]), expected=frames
                )
        elif key == SUBTASK_INDEX:
            _check_subtasks(episode.subtasks, frames)
        else:
            _check_column(key, episode.columns[key], feature, frames)


def _check_subtasks(subtasks: Sequence[str], frames: int) -> None:
    if len(subtasks) != frames:
        raise ZooError("there is not one subtask per frame", got=len(subtasks), expected=frames)
    for frame, text in enumerate(subtasks):
        if not text.strip():
            raise ZooError("a frame has no subtask", got=f"an empty text in frame {frame}", expected="a text")


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
        )


def _write(episode: Episode, source: EpisodeSource, folder: Path, storage: ImageStorage) -> None:
    staged = StagedEpisode.of(episode.tasks, episode.columns, episode.subtasks)
    for key, camera in episode.images.items():
        feature = source.features[key]
        staged.histograms[key] = counts_CV = pictures.no_counts(feature)
        if is_labels(feature):
            counted = _counted(key, camera, feature, counts_CV)
            encoded = map(images.encode_labels, counted)
            staged.picture_ends[key] = _append(key, encoded, pictures_path(folder, key))
        elif storage == "video":
            encoding = video.DEPTH if is_depth(feature) else video.COLOUR
            counted = _counted(key, camera, feature, counts_CV)
            video.encode(counted, source.fps, feature["shape"], video_path(folder, key), encoding)
        else:
            kept = pictures.verified(key, pictures.keepable(key, camera), feature, counts_CV)
            staged.picture_ends[key] = _append(key, kept, pictures_path(folder, key))
    staged.save(folder)


def _counted(
    key: str, camera: Frames | Clip, feature: Mapping[str, Any], counts_CV: np.ndarray
) -> Iterator[np.ndarray]:
    """Decode the pictures one by one, adding the sampled ones to `counts_CV`."""
    in_sample = sampled(len(camera))
    for number, image in enumerate(pictures.decoded(key, camera, feature, range(len(camera)))):
        if number in in_sample:
            counts_CV += pictures.count(image, feature)
        yield image


def _append(key: str, files: Iterable[bytes | memoryview], path: Path) -> np.ndarray:
    """Write the files of pictures one after the other; returns where each ends."""
    ends: list[int] = []
    with path.open("wb") as file:
        for encoded in files:
            file.write(encoded)
            ends.append(file.tell())
            if ends[-1] > _MAX_PICTURE_BYTES:
                raise ZooError(
                    f"the pictures of {key} are too large for one episode",
                    got=f"{ends[-1]} bytes in the first {len(ends)} frames",
                    expected=f"at most {_MAX_PICTURE_BYTES}",
                    do="convert with --images video",
                )
    return np.array(ends)
