"""The folder of BEHAVIOR-1K's 2025 demonstrations: what `meta/` says, and where an episode's files lie.

    annotations/task-0000/episode_00000010.json
    data/task-0000/episode_00000010.parquet
    videos/task-0000/observation.images.rgb.head/episode_00000010.mp4
    meta/info.json tasks.jsonl episodes.jsonl
    meta/episodes/task-0000/episode_00000010.json

An episode's number is task * 10000 + instance * 10 + k, so the numbers have gaps.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError, first_names

EPISODES_PER_TASK = 10_000
_VERSION = "v2.1"


@dataclass(frozen=True)
class Layout:
    """A folder of demonstrations.

    Args:
        root: The folder.
        fps: Frames per second.
        features: `{key: {dtype, shape, ...}}` of info.json.
        names: The name of each task by its number.
        sentences: What is to be done, by the number of the task.
        lengths: The number of frames of each episode by its number, ascending.
    """

    root: Path
    fps: int
    features: Mapping[str, Mapping[str, Any]]
    names: Mapping[int, str]
    sentences: Mapping[int, str]
    lengths: Mapping[int, int]

    @classmethod
    def open(cls, root: Path) -> "Layout":
        """Read `meta/`.

        Raises:
            ZooError: A file is missing or malformed, or the data set has another version.
        """
        info = _read_info(root)
        tasks = _read_rows(root, "tasks.jsonl", "task_index", "task", str)
        named = _read_rows(root, "tasks.jsonl", "task_index", "task_name", str)
        lengths = _read_rows(root, "episodes.jsonl", "episode_index", "length", int)
        return cls(root, info["fps"], info["features"], named, tasks, dict(sorted(lengths.items())))

    def data(self, episode: int) -> Path:
        """An episode's table."""
        return self.root / "data" / f"{_place(episode)}.parquet"

    def video(self, episode: int, key: str) -> Path:
        """An episode's video of one camera."""
        task, _, name = _place(episode).partition("/")
        return self.root / "videos" / task / key / f"{name}.mp4"

    def annotation(self, episode: int) -> Path:
        """An episode's annotation."""
        return self.root / "annotations" / f"{_place(episode)}.json"

    def description(self, episode: int) -> Path:
        """What the simulator says of an episode."""
        return self.root / "meta" / "episodes" / f"{_place(episode)}.json"

    def locate(self, episode: int) -> str:
        """An episode's name, `task-0000/episode_00000010`."""
        return _place(episode)

    def sentence(self, episode: int) -> str:
        """What is to be done in an episode; raises `ZooError` if its task has no text."""
        task = episode // EPISODES_PER_TASK
        if not self.sentences.get(task, "").strip():
            raise ZooError(f"meta/tasks.jsonl has no text for task {task}", do="fetch meta/tasks.jsonl again")
        return self.sentences[task]

    def select(self, tasks: str | None, episodes: str | None) -> tuple[int, ...]:
        """The numbers of the chosen episodes, ascending.

        Args:
            tasks: Numbers and names, joined by commas; None chooses all.
            episodes: Numbers and ranges `100-990` (both ends included), joined by commas; None chooses all.

        Raises:
            ZooError: A task or an episode does not exist, or none is left.
        """
        chosen = set(self.lengths)
        if tasks is not None:
            numbers = {self._task(text.strip()) for text in tasks.split(",")}
            chosen &= {episode for episode in self.lengths if episode // EPISODES_PER_TASK in numbers}
        if episodes is not None:
            chosen &= {episode for text in episodes.split(",") for episode in self._range(text.strip())}
        if not chosen:
            raise ZooError(
                "no episode is chosen",
                got=f"--tasks {tasks} --episodes {episodes}",
                expected=f"some of {first_names(f'{episode:08d}' for episode in self.lengths)}",
            )
        return tuple(sorted(chosen))

    def _task(self, text: str) -> int:
        by_name = {name: number for number, name in self.names.items()}
        number = int(text) if text.isdecimal() else by_name.get(text, -1)
        if number not in self.names:
            raise ZooError(
                f"--tasks names no task of this data set: {text!r}",
                expected=", ".join(f"{number} {name}" for number, name in sorted(self.names.items())),
            )
        return number

    def _range(self, text: str) -> list[int]:
        first, dash, last = text.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ZooError(f"--episodes is malformed: {text!r}", expected="numbers and ranges: 10,20,100-990")
        wanted = range(int(first), int(last if dash else first) + 1)
        found = [episode for episode in self.lengths if episode in wanted]
        if not found:
            raise ZooError(
                f"--episodes names no episode of this data set: {text!r}",
                expected=f"some of {first_names(f'{episode:08d}' for episode in self.lengths)}",
            )
        return found


def _place(episode: int) -> str:
    return f"task-{episode // EPISODES_PER_TASK:04d}/episode_{episode:08d}"


def _read_info(root: Path) -> dict[str, Any]:
    path = root / "meta" / "info.json"
    if not path.is_file():
        raise ZooError(
            f"{root} holds no BEHAVIOR-1K demonstrations: meta/info.json is missing",
            expected="a folder with data/, videos/, annotations/ and meta/",
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        version, fps, features = info["codebase_version"], info["fps"], info["features"]
    except (ValueError, KeyError, TypeError) as error:
        raise ZooError("meta/info.json is malformed", got=repr(error), do="fetch it again") from error
    if version != _VERSION:
        hint = "it may be a LeRobotDataset v3 already: give it to lerobot-train" if "v3" in version else None
        raise ZooError("meta/info.json is of another version", got=version, expected=_VERSION, do=hint)
    if not isinstance(fps, int) or fps < 1 or not isinstance(features, dict):
        raise ZooError("meta/info.json is malformed", got=f"fps {fps!r}, features {type(features).__name__}")
    return info


def _read_rows(root: Path, name: str, key: str, value: str, kind: type) -> dict[int, Any]:
    """Two columns of a file of JSON lines, the first of integers, as a table."""
    path = root / "meta" / name
    if not path.is_file():
        raise ZooError(f"meta/{name} is missing", do="fetch it")
    rows: dict[int, Any] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            index, entry = row[key], row[value]
        except (ValueError, KeyError, TypeError) as error:
            raise ZooError(f"meta/{name}, line {number} is malformed", got=repr(error)) from error
        if not isinstance(index, int) or not isinstance(entry, kind):
            raise ZooError(
                f"meta/{name}, line {number} is malformed", got=f"{key} {index!r}, {value} {entry!r}"
            )
        if index in rows:
            raise ZooError(f"meta/{name}, line {number}: {key} {index} comes twice")
        rows[index] = entry
    return rows
