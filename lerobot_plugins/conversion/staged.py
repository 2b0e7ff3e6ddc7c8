"""The files of a staged episode, written by a worker and read back when the dataset is assembled.

    episode.npz       numeric columns, task and subtask of each frame, histograms of the sampled pictures
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
        subtasks: The different subtasks in the order in which they come; none where there are no subtasks.
        subtask_T: For each frame the number of its subtask.
    """

    tasks: list[str]
    task_T: np.ndarray
    columns: dict[str, np.ndarray]
    histograms: dict[str, np.ndarray] = field(default_factory=dict)
    picture_ends: dict[str, np.ndarray] = field(default_factory=dict)
    subtasks: list[str] = field(default_factory=list)
    subtask_T: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(
        cls, tasks: Sequence[str], columns: Mapping[str, np.ndarray], subtasks: Sequence[str] = ()
    ) -> "StagedEpisode":
        """An episode whose pictures are yet to come, from the task of each frame, and its subtask if any."""
        names, task_T = _numbered(tasks)
        subtask_names, subtask_T = _numbered(subtasks)
        return cls(names, task_T, dict(columns), subtasks=subtask_names, subtask_T=subtask_T)

    @classmethod
    def load(cls, folder: Path) -> "StagedEpisode":
        """Read an episode."""
        with np.load(folder / _NUMBERS_FILE, allow_pickle=False) as arrays:
            groups: dict[str, dict[str, np.ndarray]] = {"columns": {}, "histograms": {}, "picture_ends": {}}
            for name in arrays.files:
                group, _, key = name.partition("/")
                if key:
                    groups[group][key] = arrays[name]
            tasks, subtasks = (json.loads(arrays[name].tobytes()) for name in ("tasks", "subtasks"))
            return cls(tasks, arrays["task_T"], **groups, subtasks=subtasks, subtask_T=arrays["subtask_T"])

    def save(self, folder: Path) -> None:
        """Write an episode."""
        arrays = {"task_T": self.task_T, "subtask_T": self.subtask_T}
        for name in ("tasks", "subtasks"):
            arrays[name] = np.frombuffer(json.dumps(getattr(self, name)).encode(), np.uint8)
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


def _numbered(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The different texts in order, and the number of each (T,)."""
    number = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    return list(number), np.array([number[text] for text in texts], np.int64)


def video_path(folder: Path, camera: str) -> Path:
    """A staged episode's video of one camera."""
    return folder / f"{camera}.mp4"


def pictures_path(folder: Path, camera: str) -> Path:
    """A staged episode's pictures of one camera, whose files are kept."""
    return folder / f"{camera}.pictures"
