"""What a user chooses about a conversion of BEHAVIOR-1K."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class Options:
    """The bridge's own arguments.

    Args:
        tasks: Chosen tasks, see `Layout.select`.
        episodes: Chosen episodes, see there.
        prompts: Whose text a frame gets: `task`, `skill` or `primitive`.
        subtasks: Whose text is a frame's subtask: `none`, `skill` or `primitive`.
        object_names: Names of objects by their ids.
        depth: Depth cameras: `none`, `all`, or names joined by commas.
        segmentation: Cameras whose instance ids are taken, as for depth.
        size: The longer side of pictures is at most this; None keeps them.
        proprioception: Whether to keep the recorded numbers behind the state.
    """

    tasks: str | None = None
    episodes: str | None = None
    prompts: str = "task"
    subtasks: str = "none"
    object_names: Mapping[str, str] = field(default_factory=dict)
    depth: str = "none"
    segmentation: str = "none"
    size: int | None = None
    proprioception: bool = True

    @property
    def levels(self) -> list[str]:
        """The levels whose phrases are taken from the annotations."""
        return [level for level in ("skill", "primitive") if level in (self.prompts, self.subtasks)]

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Options":
        """The options of a command line; raises `ZooError` if one is malformed."""
        if arguments.size is not None and arguments.size < 1:
            raise ZooError("--size must be at least 1", got=arguments.size)
        names = {} if arguments.object_names is None else _read_names(arguments.object_names)
        return cls(
            arguments.tasks,
            arguments.episodes,
            arguments.prompts,
            arguments.subtasks,
            names,
            arguments.depth,
            arguments.segmentation,
            arguments.size,
            arguments.proprioception,
        )


def _read_names(path: Path) -> dict[str, str]:
    try:
        names: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ZooError(f"--object-names {path} cannot be read: {error}") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ZooError(f"--object-names {path} is malformed", expected='{"radio_89": "radio", ...}')
    return names
