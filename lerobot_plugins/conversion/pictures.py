"""The pictures of an episode, whatever holds them: files or a video of the source, colour or depth.

From here on colour is uint8 RGB (H, W, 3), depth uint16 codes (H, W) of `depth`, labels uint16 (H, W).

H, W height and width; C channels; V intensities, codes or labels.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lerobot_plugins.conversion import depth, images
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.conversion.source import Clip, Frames, is_depth, is_labels
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.exact import Statistics
from lerobot_plugins.statistics.images import histogram, image_statistics, sampled


def decoded(
    key: str, pictures: Frames | Clip, feature: Mapping[str, Any], wanted: range
) -> Iterator[np.ndarray]:
    """Decode the wanted pictures of a camera one by one, in order.

    Raises:
        ZooError: A picture is damaged or of another size, or a video has another number of pictures.
    """
    if isinstance(pictures, Clip):
        yield from _from_clip(key, pictures, feature, wanted)
        return
    for number in wanted:
        with located(f"{key}, {pictures.place(number)}"):
            image_HWC = images.decode(pictures.encoded[number], tuple(feature["shape"]))
        yield np.ascontiguousarray(image_HWC[::-1, ::-1]) if pictures.turned else image_HWC


def _from_clip(key: str, clip: Clip, feature: Mapping[str, Any], wanted: range) -> Iterator[np.ndarray]:
    frames = 0
    with located(key):
        for number, image_HWC in enumerate(clip.decode()):
            if image_HWC.shape != tuple(feature["shape"]):
                raise ZooError(
                    f"frame {number} has another size", got=image_HWC.shape, expected=tuple(feature["shape"])
                )
            frames += 1
            if number in wanted:
                if is_depth(feature):
                    yield depth.quantize(image_HWC[..., 0])
                else:
                    yield image_HWC[..., 0] if is_labels(feature) else image_HWC
        if frames != len(clip):
            raise ZooError(
                "the video has another number of frames than the episode",
                got=frames,
                expected=len(clip),
                do="fetch the episode again",
            )


def keepable(key: str, pictures: Frames | Clip) -> Frames:
    """Pictures whose own files can be kept as they are.

    Raises:
        ZooError: They come from a video, or must be rotated.
    """
    if isinstance(pictures, Clip):
        raise ZooError(f"{key} is a video, which has no pictures to keep", do="convert with --images video")
    if pictures.turned:
        raise ZooError(f"{key} must be rotated, which changes its bytes", do="convert with --images video")
    return pictures


def verified(
    key: str, pictures: Frames, feature: Mapping[str, Any], counts_CV: np.ndarray
) -> Iterator[bytes | memoryview]:
    """The pictures' own files in one pass; the sampled ones are decoded and added to `counts_CV`.

    Raises:
        ZooError: What decoding all of them would raise, at half the cost.
    """
    shape, in_sample = tuple(feature["shape"]), sampled(len(pictures))
    for number in range(len(pictures)):
        with located(f"{key}, {pictures.place(number)}"):
            encoded = pictures.encoded[number]
            if number in in_sample:
                counts_CV += count(images.decode(encoded, shape), feature)
            else:
                images.verify(encoded, shape)
        yield encoded


def damaged(pictures: Frames, feature: Mapping[str, Any]) -> list[int]:
    """The frames whose pictures cannot be read."""
    found = []
    for number in range(len(pictures)):
        try:
            images.verify(pictures.encoded[number], tuple(feature["shape"]))
        except ZooError:
            found.append(number)
    return found


def no_counts(feature: Mapping[str, Any]) -> np.ndarray:
    """Counts (C, V) of no picture."""
    return np.zeros((feature["shape"][2], len(values(feature))), dtype=np.int64)


def count(image: np.ndarray, feature: Mapping[str, Any]) -> np.ndarray:
    """How often each intensity, code or label occurs, (C, V)."""
    if image.dtype == np.uint16:
        return np.bincount(image.reshape(-1), minlength=len(values(feature)))[None]
    return histogram(image)


def values(feature: Mapping[str, Any]) -> np.ndarray:
    """What each counted intensity, code or label stands for: 0 to 255, metres, or itself."""
    if is_labels(feature):
        return np.arange(images.LABELS)
    return depth.METRES_V if is_depth(feature) else np.arange(256)


def statistics(feature: Mapping[str, Any], histogram_CV: np.ndarray, pictures: int) -> Statistics:
    """LeRobot's statistics of counted pictures: colour in [0, 1], depth in metres, labels as they are."""
    if is_depth(feature) or is_labels(feature):
        return image_statistics(histogram_CV, pictures, values(feature), unit=1)
    return image_statistics(histogram_CV, pictures)
