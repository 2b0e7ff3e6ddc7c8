"""Faults of a dataset's files, seeded into a copy of a clean one, and what the doctor must say of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from number_faults import Told
from recorded_dataset import DATA, EPISODES, edit_column, edit_info, edit_json

TASKS, STATS, INFO = "meta/tasks.parquet", "meta/stats.json", "meta/info.json"
TOP = "observation.images.top"
TOP_VIDEO = f"videos/{TOP}/chunk-000/file-000.mp4"
FIRST, SECOND = 90, 80  # frames of the clean set's first episodes


@dataclass(frozen=True)
class FileFault:
    """A fault, the findings that must be there, and the options of the doctor."""

    seed: Callable[[Path], object]
    told: tuple[Told, ...]
    robot: str | None = None


def _data(column: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path], None]:
    return lambda root: edit_column(root, DATA, column, change)


def _at(rows: slice, value: float, add: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[rows] = values[rows] + value if add else value
        return values

    return change


def _feature(key: str, **changes: Any) -> Callable[[Path], None]:
    return lambda root: edit_json(root / INFO, lambda info: info["features"][key].update(changes))


def _without_last_name(root: Path) -> None:
    edit_json(root / INFO, lambda info: info["features"]["action"]["names"].pop())


def _narrower(root: Path) -> None:
    def change(info: dict[str, Any]) -> None:
        action = info["features"]["action"]
        action["shape"], action["names"] = [13], action["names"][:13]

    edit_json(root / INFO, change)


def _backward(values: np.ndarray) -> np.ndarray:
    values[[FIRST + 30, FIRST + 31]] = values[[FIRST + 31, FIRST + 30]]
    return values


def _statistic(key: str, name: str, place: int, change: Callable[[float], float]) -> Callable[[Path], None]:
    def edit(stats: dict[str, Any]) -> None:
        stats[key][name][place] = change(stats[key][name][place])

    return lambda root: edit_json(root / STATS, edit)


def _bright_statistics(root: Path) -> None:
    def edit(stats: dict[str, Any]) -> None:
        for name in ("min", "max", "mean", "std"):
            stats[TOP][name] = (np.array(stats[TOP][name]) * 255).tolist()

    edit_json(root / STATS, edit)


def _cut(file: str) -> Callable[[Path], None]:
    def cut(root: Path) -> None:
        content = (root / file).read_bytes()
        (root / file).write_bytes(content[: len(content) // 2])

    return cut


FAULTS: dict[str, FileFault] = {
    "fewer names than numbers": FileFault(_without_last_name, (Told("features", feature="action"),)),
    "another width than the files": FileFault(_narrower, (Told("features", feature="action"),)),
    "another robot's widths": FileFault(lambda root: None, (Told("layout"),), robot="fourier_gr2"),
    "time that runs backward": FileFault(
        _data("timestamp", _backward), (Told("timestamps", feature="timestamp", episode=1, frame=31),)
    ),
    "a gap in time": FileFault(
        _data("timestamp", _at(slice(FIRST + 40, FIRST + SECOND), 0.5, add=True)),
        (Told("timestamps", feature="timestamp", episode=1, frame=40),),
    ),
    "another frame rate than the times": FileFault(
        lambda root: edit_info(root, fps=30),
        (Told("fps", feature="timestamp", episode=0), Told("fps", feature=TOP)),
    ),
    "an index that skips": FileFault(
        _data("index", _at(slice(100, None), 1, add=True)),
        (Told("indices", feature="index", episode=1, frame=10),),
    ),
    "frames that do not begin at 0": FileFault(
        _data("frame_index", _at(slice(FIRST, FIRST + SECOND), 1, add=True)),
        (Told("indices", feature="frame_index", episode=1, frame=0),),
    ),
    "a wrong number of frames": FileFault(
        lambda root: edit_info(root, total_frames=999), (Told("counts", feature="total_frames"),)
    ),
    "a wrong length of an episode": FileFault(
        lambda root: edit_column(root, EPISODES, "length", _at(slice(1, 2), 70)),
        (
            Told("counts", feature="dataset_from_index", episode=1),
            Told("counts", feature="length", episode=1),
        ),
    ),
    "a data file that is missing": FileFault(lambda root: (root / DATA).unlink(), (Told("files"),)),
    "a data file that is cut off": FileFault(_cut(DATA), (Told("files"),)),
    "an empty instruction": FileFault(
        lambda root: edit_column(root, TASKS, "task", lambda tasks: ["  ", *tasks[1:]]),
        (Told("tasks", feature="task_index", episode=0, frame=0),),
    ),
    "an instruction that does not exist": FileFault(
        _data("task_index", _at(slice(FIRST, FIRST + SECOND), 7)),
        (Told("tasks", feature="task_index", episode=1, frame=0),),
    ),
    "instructions exchanged": FileFault(
        lambda root: edit_column(root, TASKS, "task", lambda tasks: tasks[::-1]),
        (Told("tasks", feature="task_index", episode=0),),
    ),
    "a mean that is not the data's": FileFault(
        _statistic("action", "mean", 3, lambda value: value + 0.5),
        (Told("statistics", ("left_arm_joint4.pos",), "action"),),
    ),
    "a deviation in degrees": FileFault(
        _statistic("observation.state", "std", 8, lambda value: value * 57.3),
        (Told("statistics", ("right_arm_joint2.pos",), "observation.state"),),
    ),
    "statistics of another width": FileFault(
        lambda root: edit_json(root / STATS, lambda stats: stats["action"]["min"].pop()),
        (Told("statistics", feature="action"),),
    ),
    "no statistics": FileFault(lambda root: (root / STATS).unlink(), (Told("statistics"),)),
    "statistics of pictures of 0 to 255": FileFault(_bright_statistics, (Told("statistics", feature=TOP),)),
    "a video that is missing": FileFault(
        lambda root: (root / TOP_VIDEO).unlink(), (Told("cameras", feature=TOP, episode=0),)
    ),
    "a video that is cut off": FileFault(_cut(TOP_VIDEO), (Told("cameras", feature=TOP),)),
    "a camera of another size": FileFault(
        _feature(TOP, shape=[32, 48, 3]), (Told("cameras", feature=TOP, episode=0),)
    ),
}
