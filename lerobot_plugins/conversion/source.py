"""What a dataset bridge offers to the writer: a picklable list of episodes.

T frames; H, W, C height, width, channels; D the shape of one frame's value.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

# A source whose features have this key gives a subtask for each frame; the dataset has its number under it
# and its text in meta/subtasks.parquet.
SUBTASK_INDEX = "subtask_index"
SUBTASK_FEATURE: Mapping[str, Any] = {"dtype": "int64", "shape": (1,), "names": None}
# LeRobot has no word for labels; what it spares of a depth map (colour jitter, say), it must spare here too.
# Without a unit it reads the numbers as they are.
LABELS_INFO: Mapping[str, Any] = {"is_depth_map": True, "is_label_map": True}
# What its labels are called, if anything, in `meta/`: `{"number": "name"}` for each episode, as a list.
LABEL_NAMES = "instances.json"


@dataclass(frozen=True)
class Frames:
    """The T pictures of one camera during one episode, as the source stores them.

    Args:
        encoded: JPEG or PNG files; views into a larger buffer are welcome, and so are sequences that read a
            file when it is asked for, from the first to the last.
        turned: The pictures lie upside down and must be rotated by 180 degrees.
        place: What messages call the picture of a frame.
    """

    encoded: Sequence[bytes | memoryview]
    turned: bool = False
    place: Callable[[int], str] = "frame {}".format

    def __len__(self) -> int:
        return len(self.encoded)


@dataclass(frozen=True)
class Clip:
    """The T pictures of one camera during one episode, as a video of the source.

    Args:
        length: T; the video must show as many.
        decode: Opens the video and yields its pictures: uint8 RGB (H, W, 3), the depth in metres,
            float32 (H, W, 1), or labels, uint16 (H, W, 1).
    """

    length: int
    decode: Callable[[], Iterator[np.ndarray]]

    def __len__(self) -> int:
        return self.length


@dataclass(frozen=True)
class Episode:
    """One episode.

    Args:
        columns: Numeric columns, each (T, D).
        images: The pictures of each camera.
        tasks: For each frame what is to be done, in natural language.
        subtasks: For each frame what is to be done next, where the features have `SUBTASK_INDEX`.
    """

    columns: Mapping[str, np.ndarray]
    images: Mapping[str, Frames | Clip]
    tasks: Sequence[str]
    subtasks: Sequence[str] = ()


class EpisodeSource(Protocol):
    """A data set to be converted. It is pickled into worker processes, so it opens files when it is read."""

    @property
    def fps(self) -> int:
        """Frames per second."""

    @property
    def robot_type(self) -> str:
        """LeRobot's name for the robot."""

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        """LeRobot's `{key: {dtype, shape, names}}` of what `read` returns; cameras have the dtype "image".

        A depth camera is one of a single channel with LeRobot's `info: {"is_depth_map": True}`, one of labels
        has `LABELS_INFO`.
        LeRobot's own columns (timestamp, indices) are added by the writer.
        """

    def __len__(self) -> int:
        """How many episodes there are, counting those that cannot be read."""

    def read(self, index: int) -> Episode:
        """One episode; raises `ZooError` if it is damaged."""

    def locate(self, index: int) -> str:
        """Where an episode lies (file, byte), without the path of the machine it lies on."""

    def files(self, index: int) -> list[str]:
        """The files that hold an episode, named as `locate` names them."""

    def fingerprint(self) -> dict[str, Any]:
        """All that decides what `read` returns, as JSON; no path, host or time. It becomes the provenance."""


def is_camera(feature: Mapping[str, Any]) -> bool:
    """Whether a feature holds pictures."""
    return feature["dtype"] in ("image", "video")


def is_depth(feature: Mapping[str, Any]) -> bool:
    """Whether a camera's pictures are depth in metres."""
    return bool((feature.get("info") or {}).get("is_depth_map")) and not is_labels(feature)


def is_labels(feature: Mapping[str, Any]) -> bool:
    """Whether a camera's pixels are numbers of things, 0 to 65535: no codec may touch them."""
    return bool((feature.get("info") or {}).get("is_label_map"))


@runtime_checkable
class HasNotes(Protocol):
    """A source that knows more of its episodes than a LeRobotDataset has a place for."""

    def notes(self, indices: Sequence[int]) -> dict[str, Any]:
        """Files for `meta/` as JSON by their names, of the episodes with these indices in their order."""


def notes_of(source: EpisodeSource, indices: Sequence[int]) -> dict[str, Any]:
    """The notes of a source, none if it has none."""
    return source.notes(indices) if isinstance(source, HasNotes) else {}
