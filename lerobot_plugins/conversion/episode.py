"""One episode: checked, its pictures encoded or kept, and staged.

T frames; H, W, C height, width, channels; D the shape of one frame's value; V the 256 intensities.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lerobot_plugins.conversion import images, video
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.conversion.source import Episode, EpisodeSource, Frames, is_camera
from lerobot_plugins.conversion.staged import StagedEpisode, pictures_path, video_path
from lerobot_plugins.conversion.staging import Staging
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.images import histogram, sampled

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
    staged = StagedEpisode.of(episode.tasks, episode.columns)
    for key, frames in episode.images.items():
        shape = tuple(source.features[key]["shape"])
        staged.histograms[key] = counts_CV = np.zeros((shape[2], 256), dtype=np.int64)
        if storage == "video":
            decoded = _decoded(key, frames, shape, counts_CV)
            video.encode(decoded, source.fps, shape, video_path(folder, key))
        else:
            staged.picture_ends[key] = _keep(key, frames, shape, counts_CV, pictures_path(folder, key))
    staged.save(folder)


def _decoded(key: str, frames: Frames, shape: tuple[int, ...], counts_CV: np.ndarray) -> Iterator[np.ndarray]:
    """Decode the pictures one by one, adding the sampled ones to `counts_CV`."""
    in_sample = sampled(len(frames.encoded))
    for number, encoded in enumerate(frames.encoded):
        with located(f"{key}, frame {number}"):
            image_HWC = images.decode(encoded, shape)
        if number in in_sample:
            counts_CV += histogram(image_HWC)
        yield np.ascontiguousarray(image_HWC[::-1, ::-1]) if frames.turned else image_HWC


def _keep(key: str, frames: Frames, shape: tuple[int, ...], counts_CV: np.ndarray, path: Path) -> np.ndarray:
    """Verify the pictures and write their untouched bytes one after the other; returns where each ends."""
    if frames.turned:
        raise ZooError(f"{key} must be rotated, which changes its bytes", do="convert with --images video")
    ends_T = np.cumsum([len(encoded) for encoded in frames.encoded])
    if ends_T[-1] > _MAX_PICTURE_BYTES:
        raise ZooError(
            f"the pictures of {key} are too large for one episode",
            got=f"{ends_T[-1]} bytes",
            expected=f"at most {_MAX_PICTURE_BYTES}",
            do="convert with --images video",
        )
    in_sample = sampled(len(frames.encoded))
    with path.open("wb") as file:
        for number, encoded in enumerate(frames.encoded):
            with located(f"{key}, frame {number}"):
                if number in in_sample:
                    counts_CV += histogram(images.decode(encoded, shape))
                else:
                    images.verify(encoded, shape)
            file.write(encoded)
    return ends_T
