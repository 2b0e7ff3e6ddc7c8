"""The files of a staged episode, written by a worker and read back when the dataset is assembled.

    episode.npz       numeric columns, the task of each frame, histograms of the sampled pictures
    <camera>.mp4      with `--images video`
    <camera>.pictures with `--images jpeg`: the files of the pictures, one after the other

Plain NumPy, because pyarrow would import pandas into every worker.

T frames; D the shape of one frame's value; C channels; V the 256 intensities.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_NUMBERS_FILE = "episode.npz"


@dataclass
class StagedEpisode:
    """One episode without its pictures.

    Args:
        tasks: The different tasks in the order in which they come.
        task_T: For each frame the number of its task.
        columns: Numeric columns, (T, D) each.
        histograms: For each camera the counts (C, V) of its sampled pictures.
        picture_ends: For each camera whose files are kept, where each of the T pictures ends.
    """

    tasks: list[str]
    task_T: np.ndarray
    columns: dict[str, np.ndarray]
    histograms: dict[str, np.ndarray] = field(default_factory=dict)
    picture_ends: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Sequence[str], columns: Mapping[str, np.ndarray]) -> "StagedEpisode":
        """An episode whose pictures are yet to come, from the task of each frame."""
        number = {task: index for index, task in enumerate(dict.fromkeys(tasks))}
        return cls(list(number), np.array([number[task] for task in tasks]), dict(columns))

    @classmethod
    def load(cls, folder: Path) -> "StagedEpisode":
        """Read an episode."""
        with np.load(folder / _NUMBERS_FILE, allow_pickle=False) as arrays:
            groups: dict[str, dict[str, np.ndarray]] = {"columns": {}, "histograms": {}, "picture_ends": {}}
            for name in arrays.files:
                group, _, key = name.partition("/")
                if key:
                    groups[group][key] = arrays[name]
            return cls(json.loads(arrays["tasks"].tobytes()), arrays["task_T"], **groups)

    def save(self, folder: Path) -> None:
        """Write an episode."""
        arrays = {"tasks": np.frombuffer(json.dumps(self.tasks).encode(), np.uint8), "task_T": self.task_T}
        for group in ("columns", "histograms", "picture_ends"):
            arrays |= {f"{group}/{key}": values for key, values in getattr(self, group).items()}
        np.savez(folder / _NUMBERS_FILE, allow_pickle=False, **arrays)

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.task_T)

    @property
    def data_bytes(self) -> int:
        """About the size of everything but videos."""
        return sum(values.nbytes for values in self.columns.values()) + sum(
            int(ends_T[-1]) for ends_T in self.picture_ends.values()
        )


def video_path(folder: Path, camera: str) -> Path:
    """A staged episode's video of one camera."""
    return folder / f"{camera}.mp4"


def pictures_path(folder: Path, camera: str) -> Path:
    """A staged episode's pictures of one camera, whose files are kept."""
    return folder / f"{camera}.pictures"
