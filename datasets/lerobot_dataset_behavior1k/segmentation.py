"""BEHAVIOR-1K's segmentation videos: each instance's id is painted in a colour of a palette.

An episode's description lists the ids that a camera saw, in the order of the palette, and where each instance
lies in the scene. Videos are lossy, so a pixel belongs to the nearest colour.

H, W height and width; N ids of a camera; M colours.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from lerobot_dataset_behavior1k.palettes import palette
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.errors import ZooError, first_names

MAX_ID = 2**16 - 1
_CAMERA = "robot_r1::robot_r1:{}:Camera:0::unique_ins_ids"
_LINKS = {"head": "zed_link", "left_wrist": "left_realsense_link", "right_wrist": "right_realsense_link"}
_MAPPING = "ins_id_mapping"
_AT_ONCE = 4096
# Marks in what is remembered of a colour, beside its id.
_UNKNOWN, _FAR = -1, 2**16
# How far a colour may be from the only one of a palette.
_ALONE = 64
# Lossy codecs mix the colours of neighbours along their edges; more than that is another video or palette.
MAX_FAR_SHARE = 0.05
_WITHOUT = "fetch it again, or convert with --segmentation none"


class Decoder:
    """Colours of one camera's video to ids; it remembers the colours that it has seen.

    Args:
        ids: The ids that the camera saw, in the order of the palette.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids_N = np.array(ids, np.int32)
        self._palette_NC = palette(len(ids)).astype(np.int32)
        apart_NN = ((self._palette_NC[:, None] - self._palette_NC[None]) ** 2).sum(axis=-1)
        others = apart_NN[~np.eye(len(ids), dtype=bool)]
        self._limit = int(others.min()) if len(others) else _ALONE**2
        self._known = np.full(2**24, _UNKNOWN, np.int32)

    def ids(self, image_HWC: np.ndarray, frame: int) -> np.ndarray:
        """The ids of a decoded picture: those of the nearest colours.

        Args:
            image_HWC: uint8 RGB.
            frame: Its number, for messages.

        Returns:
            uint16 (H, W).

        Raises:
            ZooError: Too many pixels are farther from the palette than its colours from each other.
        """
        wide_HWC = image_HWC.astype(np.int32)
        code_HW = wide_HWC[..., 0] << 16 | wide_HWC[..., 1] << 8 | wide_HWC[..., 2]
        found_HW = self._known[code_HW]
        if (found_HW == _UNKNOWN).any():
            new = np.unique(code_HW[found_HW == _UNKNOWN])
            for first in range(0, len(new), _AT_ONCE):
                self._learn(new[first : first + _AT_ONCE])
            found_HW = self._known[code_HW]
        far_HW = found_HW >= _FAR
        if far_HW.mean() > MAX_FAR_SHARE:
            self._refuse(image_HWC, found_HW, far_HW, frame)
        return (found_HW & MAX_ID).astype(np.uint16)

    def _learn(self, code_M: np.ndarray) -> None:
        colour_MC = np.stack([code_M >> 16, code_M >> 8 & 255, code_M & 255], axis=-1)
        distance_MN = ((colour_MC[:, None] - self._palette_NC[None]) ** 2).sum(axis=-1)
        far_M = distance_MN.min(axis=1) > self._limit
        self._known[code_M] = self._ids_N[distance_MN.argmin(axis=1)] | np.where(far_M, _FAR, 0)

    def _refuse(
        self, image_HWC: np.ndarray, found_HW: np.ndarray, far_HW: np.ndarray, frame: int
    ) -> NoReturn:
        row, column = np.argwhere(far_HW)[0].tolist()
        nearest = self._palette_NC[self._ids_N == found_HW[row, column] & MAX_ID][0]
        raise ZooError(
            f"frame {frame}: {far_HW.mean():.0%} of the pixels have a colour of no instance, "
            f"the first in row {row}, column {column}",
            got=tuple(image_HWC[row, column].tolist()),
            expected=f"one near the palette of {len(self._ids_N)} instances, "
            f"of which {tuple(nearest.tolist())} is the nearest",
            do="fetch the video and its description in meta/episodes again: they must belong together",
        )


def read_ids(path: Path, camera: str) -> tuple[int, ...]:
    """The ids that a camera saw, in the order of the palette, from an episode's description.

    Args:
        path: `meta/episodes/task-XXXX/episode_XXXXXXXX.json`.
        camera: `head`, `left_wrist` or `right_wrist`.

    Raises:
        ZooError: The file is missing or malformed, or an id does not fit into 16 bits.
    """
    with located(f"{path.parent.name}/{path.name}"):
        if camera not in _LINKS:
            raise ZooError("the camera's ids have no known name", got=camera, expected=", ".join(_LINKS))
        key = _CAMERA.format(_LINKS[camera])
        ids = _read(path, key)
        if not (isinstance(ids, list) and ids and all(type(number) is int for number in ids)):
            raise ZooError(f"'{key}' is malformed", got=ids, expected="a list of ids", do=_WITHOUT)
        if len(set(ids)) != len(ids):
            raise ZooError(f"'{key}' names an id twice", got=ids, do=_WITHOUT)
        if min(ids) < 0 or max(ids) > MAX_ID:
            raise ZooError(
                f"an id of '{key}' does not fit into 16 bits",
                got=f"{min(ids)} to {max(ids)}",
                expected=f"0 to {MAX_ID}",
                do="leave this camera out of --segmentation",
            )
        return tuple(ids)


def read_names(path: Path) -> dict[int, str]:
    """The name of each instance by its id: `/World/scene_0/radio_89/base_link` is "radio_89".

    Raises:
        ZooError: The file is missing or malformed.
    """
    with located(f"{path.parent.name}/{path.name}"):
        mapping = _read(path, _MAPPING)
        try:
            # The simulator writes it as a text within the file.
            places = {int(number): str(place) for number, place in json.loads(mapping).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise ZooError(f"'{_MAPPING}' is malformed", got=repr(error), do=_WITHOUT) from error
    return {number: _name(place) for number, place in places.items()}


def _name(place: str) -> str:
    parts = place.split("/")
    return parts[3] if len(parts) > 3 else place


def _read(path: Path, key: str) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ZooError(
            "the episode's description is missing", got="no file", expected=f"its '{key}'", do=_WITHOUT
        ) from error
    except ValueError as error:
        raise ZooError("the episode's description is no JSON", got=error, do=_WITHOUT) from error
    if not isinstance(content, dict) or key not in content:
        found = first_names(content) if isinstance(content, dict) else type(content).__name__
        raise ZooError(f"the episode's description has no '{key}'", got=found, expected=key, do=_WITHOUT)
    return content[key]
