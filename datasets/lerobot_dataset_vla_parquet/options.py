"""What a user chooses about a conversion of rows."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lerobot_dataset_vla_parquet.columns import CAMERAS, OPTIONS
from lerobot_dataset_vla_parquet.episodes import Rules
from lerobot_plugins.errors import ZooError

_NAME = re.compile(r"\w+")
MISSING_AUX = ("error", "black", "drop-episode")


@dataclass(frozen=True)
class Options:
    """The bridge's own arguments.

    Args:
        fps: Frames per second, which rows do not say.
        robot_type: LeRobot's name for the robot.
        columns: Columns named by an option, by what they are.
        cameras: Columns of more cameras by their names.
        state_names: A name for each number of the state; None numbers them.
        action_names: The same for the action.
        rules: How rows become episodes.
        default_prompt: The instruction of rows without one.
        missing_aux: What to do where a second camera has no picture: `error`, `black`, `drop-episode`.
        resize: Height and width to resize pictures to.
        per_action_dim: Rows hold chunks of steps of so many numbers.
        skip_bad_files: Leave out files that cannot be read.
    """

    fps: int
    robot_type: str = "unknown"
    columns: Mapping[str, str] = field(default_factory=dict)
    cameras: Mapping[str, str] = field(default_factory=dict)
    state_names: tuple[str, ...] | None = None
    action_names: tuple[str, ...] | None = None
    rules: Rules = field(default_factory=Rules)
    default_prompt: str | None = None
    missing_aux: str = "error"
    resize: tuple[int, int] | None = None
    per_action_dim: int | None = None
    skip_bad_files: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Options":
        """The options of a command line.

        Raises:
            ZooError: One is malformed.
        """
        for option in ("fps", "min_length", "per_action_dim"):
            if (value := getattr(arguments, option)) is not None and value < 1:
                raise ZooError(f"--{option.replace('_', '-')} must be at least 1", got=value)
        named = {what: getattr(arguments, option[2:].replace("-", "_")) for what, option in OPTIONS.items()}
        return cls(
            fps=arguments.fps,
            robot_type=arguments.robot_type,
            columns={what: column for what, column in named.items() if column is not None},
            cameras=_cameras(arguments.camera),
            state_names=_names(arguments.state_names, "--state-names"),
            action_names=_names(arguments.action_names, "--action-names"),
            rules=Rules(
                lenient=arguments.mode == "lenient",
                split_at_file_boundary=arguments.split_at_file_boundary,
                allow_prompt_change=arguments.allow_prompt_change,
                min_length=arguments.min_length,
            ),
            default_prompt=_text(arguments.default_prompt),
            missing_aux=arguments.missing_aux,
            resize=_size(arguments.resize),
            per_action_dim=arguments.per_action_dim,
            skip_bad_files=arguments.skip_bad_files,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def _cameras(given: list[str]) -> dict[str, str]:
    cameras: dict[str, str] = {}
    for entry in given:
        name, _, column = entry.partition("=")
        if not _NAME.fullmatch(name) or not column:
            raise ZooError(
                "--camera is not understood", got=entry, expected="NAME=COLUMN, such as wrist=image_3"
            )
        if name in cameras or name in CAMERAS:
            raise ZooError("--camera names a camera that is there already", got=name, expected="another name")
        cameras[name] = column
    return cameras


def _names(given: str | None, option: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = tuple(name.strip() for name in given.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise ZooError(f"{option} is not understood", got=given, expected="different names, joined by commas")
    return names


def _text(given: str | None) -> str | None:
    if given is not None and not given.strip():
        raise ZooError("--default-prompt is empty", expected="an instruction")
    return None if given is None else given.strip()


def _size(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", given)
    if not match:
        raise ZooError("--resize is not understood", got=given, expected="HEIGHTxWIDTH, such as 224x224")
    return int(match[1]), int(match[2])
