"""The mapping file: which fields of an RLDS data set become which features of the LeRobot dataset.

fps: 20
robot_type: franka
task: language_instruction              # a text field; or {text: "pick up the cup"} for all episodes; or
                                        # {source: language_instruction, separator: "@", part: 2} of the field
images:                                 # LeRobot's key: picture field
  observation.images.front: observation/image
  observation.images.wrist: {source: observation/wrist_image, rotate: 180}
columns:                                # LeRobot's key: numeric field, or several, concatenated
  observation.state:
    source: [{path: observation/state, slice: [0, 6]}, observation/gripper]
    names: [x, y, z, rx, ry, rz, gripper]
  action: {source: action}
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lerobot_plugins.errors import ZooError, first_names

_KEY = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
# What LeRobot adds to every frame itself.
RESERVED = ("timestamp", "frame_index", "episode_index", "index", "task_index", "task")


@dataclass(frozen=True)
class Part:
    """A numeric field, or the dimensions `start:stop` of a one-dimensional one."""

    path: str
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class ColumnMapping:
    """A numeric feature: the parts to concatenate, and a name for each dimension."""

    parts: tuple[Part, ...]
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class CameraMapping:
    """A camera: its picture field, and whether its pictures lie upside down."""

    path: str
    turned: bool = False


@dataclass(frozen=True)
class RldsMapping:
    """A whole mapping.

    Args:
        fps: Frames per second of the recording; RLDS does not say.
        robot_type: LeRobot's name for the robot.
        images: Cameras by LeRobot's key.
        columns: Numeric features by LeRobot's key.
        task_path: The text field with the task.
        task_text: The task of all episodes, where there is no such field.
        task_separator: What stands between the parts of the field's text, if only one of them is the task.
        task_part: Which part, from 0.
    """

    fps: int
    robot_type: str
    images: Mapping[str, CameraMapping]
    columns: Mapping[str, ColumnMapping]
    task_path: str | None = None
    task_text: str | None = None
    task_separator: str | None = None
    task_part: int = 0


def load_mapping(path: Path) -> RldsMapping:
    """Read a mapping file.

    Raises:
        ZooError: It is missing, not YAML, or says something that is not understood; the message names it.
    """
    if not path.is_file():
        raise ZooError(
            f"the mapping file {path} does not exist",
            got="a folder" if path.is_dir() else "nothing there",
            expected="a YAML file, see the presets for examples",
            do="name it with --mapping, or take a --preset",
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZooError(
            f"{path} is not valid YAML",
            got=error,
            expected="a YAML file, see the presets for examples",
            do="correct the file",
        ) from error
    return _Reader(path.name).mapping(content)


@dataclass(frozen=True)
class _Reader:
    """Reads one file's content, naming the file in every message."""

    file: str

    def mapping(self, content: object) -> RldsMapping:
        whole = self._keys(content, "the file", ("fps", "robot_type", "task", "columns"), ("images",))
        if not isinstance(whole["fps"], int) or isinstance(whole["fps"], bool) or whole["fps"] <= 0:
            raise self._error("fps", whole["fps"], "a positive whole number")
        columns = self._named(whole["columns"], "columns")
        if "action" not in columns:
            raise self._error(
                "columns", first_names(columns), "'action' among them: no policy trains without"
            )
        images = self._named(whole.get("images", {}), "images")
        if doubled := columns.keys() & images.keys():
            raise self._error("images", first_names(doubled), "other keys than under columns")
        return RldsMapping(
            fps=whole["fps"],
            robot_type=self._text(whole["robot_type"], "robot_type"),
            images={key: self._camera(value, key) for key, value in images.items()},
            columns={key: self._column(value, key) for key, value in columns.items()},
            **self._task(whole["task"]),
        )

    def _task(self, task: object) -> dict[str, Any]:
        if not isinstance(task, dict):
            return {"task_path": self._text(task, "task")}
        if "source" not in task:
            return {"task_text": self._text(self._keys(task, "task", ("text",))["text"], "task.text")}
        entry = self._keys(task, "task", ("source", "separator", "part"))
        part = entry["part"]
        if not isinstance(part, int) or isinstance(part, bool) or part < 0:
            raise self._error("task.part", part, "the number of a part, from 0")
        return {
            "task_path": self._text(entry["source"], "task.source"),
            "task_separator": self._text(entry["separator"], "task.separator"),
            "task_part": part,
        }

    def _camera(self, value: object, key: str) -> CameraMapping:
        if isinstance(value, str):
            return CameraMapping(value)
        entry = self._keys(value, key, ("source",), ("rotate",))
        if entry.get("rotate", 0) not in (0, 180):
            raise self._error(f"{key}.rotate", entry["rotate"], "0 or 180")
        return CameraMapping(self._text(entry["source"], f"{key}.source"), entry.get("rotate", 0) == 180)

    def _column(self, value: object, key: str) -> ColumnMapping:
        entry = self._keys(value, key, ("source",), ("slice", "names"))
        sources = entry["source"] if isinstance(entry["source"], list) else [entry["source"]]
        if "slice" in entry:
            if len(sources) > 1:
                raise self._error(f"{key}.slice", entry["slice"], "a slice within each of several sources")
            sources = [{"path": sources[0], "slice": entry["slice"]}]
        names = entry.get("names")
        if names is not None and not (
            isinstance(names, list) and all(isinstance(name, str) for name in names)
        ):
            raise self._error(f"{key}.names", names, "a list of texts (quote yes, no, on and off)")
        if names is not None and len(set(names)) < len(names):
            raise self._error(f"{key}.names", ", ".join(names), "a different name for each dimension")
        parts = tuple(self._part(source, f"{key}.source") for source in sources)
        return ColumnMapping(parts, None if names is None else tuple(names))

    def _part(self, value: object, where: str) -> Part:
        if isinstance(value, str):
            return Part(value)
        entry = self._keys(value, where, ("path",), ("slice",))
        bounds = entry.get("slice", [None, None])
        if not (
            isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(b, int | None) for b in bounds)
        ):
            raise self._error(f"{where}.slice", bounds, "[start, stop]")
        return Part(self._text(entry["path"], f"{where}.path"), *bounds)

    def _named(self, value: object, where: str) -> dict[str, Any]:
        """Entries under LeRobot's keys, which become names of folders and columns."""
        if not isinstance(value, dict):
            raise self._error(where, value, "entries 'key: source'")
        for key in value:
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise self._error(where, key, "keys of letters, digits and _, joined by dots")
            if key in RESERVED:
                raise self._error(where, key, "another key: LeRobot adds a column of this name itself")
        return value

    def _keys(
        self, value: object, where: str, needed: Sequence[str], optional: Sequence[str] = ()
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._error(where, value, f"entries {', '.join([*needed, *optional])}")
        missing = [key for key in needed if key not in value]
        unknown = [str(key) for key in value if key not in (*needed, *optional)]
        if missing or unknown:
            got = f"missing: {', '.join(missing) or 'nothing'}; unknown: {', '.join(unknown) or 'nothing'}"
            raise self._error(
                where, got, f"{', '.join(needed)}; optional: {', '.join(optional) or 'nothing'}"
            )
        return value

    def _text(self, value: object, where: str) -> str:
        if not isinstance(value, str) or not value:
            raise self._error(where, value, "a text")
        return value

    def _error(self, where: str, got: object, expected: str) -> ZooError:
        return ZooError(
            f"{self.file}: '{where}' is not understood", got=got, expected=expected, do="correct the file"
        )
