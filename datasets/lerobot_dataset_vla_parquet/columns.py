"""Which columns of the files hold what, by the names under which such recordings are found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from lerobot_plugins.errors import ZooError, first_names

IS_FIRST, IS_LAST, IS_TERMINAL = FLAGS = ("is_first", "is_last", "is_terminal")
# What it is -> the names it goes by. The reference's own description spells the first two cameras both ways.
ALIASES: Mapping[str, Sequence[str]] = {
    "image_1": ("image_1", "image_1_bytes", "image", "rgb_static"),
    "image_2": ("image_2", "image_2_bytes", "wrist_image", "rgb_gripper"),
    "state": ("state", "proprio"),
    "action": ("action", "actions"),
    "prompt": ("prompt", "instruction", "language_instruction", "task"),
}
CAMERAS = ("image_1", "image_2")
OPTIONS = {
    "image_1": "--image1-column",
    "image_2": "--image2-column",
    "state": "--state-column",
    "action": "--action-column",
    "prompt": "--prompt-column",
}
_KINDS: Mapping[str, str] = {
    "state": "a list of numbers",
    "action": "a list of numbers",
    "prompt": "text",
} | dict.fromkeys(FLAGS, "booleans")


@dataclass(frozen=True)
class Columns:
    """The columns of one recording.

    Args:
        cameras: Columns of pictures by the camera's name; `image_1` comes first and must be there.
        state: The column of states.
        action: The column of actions.
        prompt: The column of instructions; None if one text serves all.
        flags: Which of `is_first`, `is_last`, `is_terminal` are there.
    """

    cameras: Mapping[str, str]
    state: str
    action: str
    prompt: str | None
    flags: tuple[str, ...] = field(default=())

    @property
    def light(self) -> tuple[str, ...]:
        """All columns but the pictures."""
        texts = () if self.prompt is None else (self.prompt,)
        return (*self.flags, *texts, self.state, self.action)


def choose_columns(
    schema: pa.Schema,
    file: str,
    named: Mapping[str, str],
    more_cameras: Mapping[str, str],
    prompt_needed: bool = True,
) -> Columns:
    """Find the columns in the schema of a file.

    Args:
        schema: Of the first file.
        file: Its name, for messages.
        named: Columns that were named by an option, by what they are.
        more_cameras: Columns of more cameras.
        prompt_needed: Whether rows must say what is to be done.

    Raises:
        ZooError: A column is missing, goes by two names at once, or holds something else.
    """
    found = {what: _find(what, schema, file, named.get(what)) for what in ALIASES}
    for what in ("image_1", "state", "action", *(("prompt",) if prompt_needed else ())):
        if found[what] is None:
            raise ZooError(
                f"{file} has no column for '{what}'",
                got=first_names(schema.names, 20),
                expected=f"one of {', '.join(ALIASES[what])}",
                do=f"name it with {OPTIONS[what]}",
            )
    cameras = {name: column for name in CAMERAS if (column := found[name])}
    for name, column in more_cameras.items():
        _require(column, schema, file, f"--camera {name}={column}")
        cameras[name] = column
    flags = tuple(flag for flag in FLAGS if flag in schema.names)
    columns = Columns(cameras, str(found["state"]), str(found["action"]), found["prompt"], flags)
    _check_types(columns, schema, file)
    return columns


def require_columns(columns: Columns, first: pa.Schema, schema: pa.Schema, file: str) -> None:
    """Raise unless a file holds the same columns as the first one.

    A camera may be missing in some files: that is for `--missing-aux` to decide.
    """
    main = columns.cameras["image_1"]
    for column in (main, *columns.light):
        if column not in schema.names:
            raise ZooError(
                f"{file} has no column '{column}', which the first file has",
                got=first_names(schema.names, 20),
                expected=f"the columns {first_names(first.names, 20)}",
                do="convert files of different kinds one kind at a time",
            )
    for what in CAMERAS:
        late = [name for name in ALIASES[what] if name in schema.names and name not in first.names]
        if late and columns.cameras.get(what) not in schema.names:
            raise ZooError(
                f"{file} has the column '{late[0]}', which the first file lacks",
                got=first_names(schema.names, 20),
                expected=f"the columns {first_names(first.names, 20)}",
                do="convert files of different kinds one kind at a time, or give another file first",
            )
    _check_types(columns, schema, file)


def _find(what: str, schema: pa.Schema, file: str, named: str | None) -> str | None:
    if named is not None:
        _require(named, schema, file, OPTIONS[what])
        return named
    present = [name for name in ALIASES[what] if name in schema.names]
    if len(present) > 1:
        raise ZooError(
            f"{file} has several columns for '{what}' [two-columns]",
            got=", ".join(present),
            expected="one",
            do=f"say which with {OPTIONS[what]} {present[0]}",
        )
    return present[0] if present else None


def _require(column: str, schema: pa.Schema, file: str, option: str) -> None:
    if column not in schema.names:
        raise ZooError(
            f"{option}: {file} has no column '{column}'",
            got=first_names(schema.names, 20),
            expected="a column of the file",
        )


def _check_types(columns: Columns, schema: pa.Schema, file: str) -> None:
    for column in columns.light:
        kind = schema.field(column).type
        if column in columns.flags:
            fits = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        elif column == columns.prompt:
            values = kind.value_type if pa.types.is_dictionary(kind) else kind
            fits = pa.types.is_string(values) or pa.types.is_large_string(values)
        else:
            fits = is_list(kind)
            if fits and is_list(kind.value_type):
                raise ZooError(
                    f"{file}, column '{column}': each row holds a list of vectors [chunked-actions]",
                    got=kind,
                    expected="one vector a row",
                    do="write one step a row: later steps of a chunk are the next rows' first ones",
                )
            fits = fits and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
        if not fits and not pa.types.is_null(kind):
            what = {columns.state: "state", columns.action: "action", columns.prompt: "prompt"}.get(
                column, column
            )
            raise ZooError(f"{file}, column '{column}' holds something else", got=kind, expected=_KINDS[what])
    for camera, column in columns.cameras.items():
        if column in schema.names and not _holds_pictures(schema.field(column).type):
            raise ZooError(
                f"{file}, column '{column}' of camera '{camera}' holds no pictures",
                got=schema.field(column).type,
                expected="the bytes of JPEG or PNG files: binary, {bytes, path}, or a list of uint8",
                do=f"name another column with {OPTIONS.get(camera, '--camera')}",
            )


def is_list(kind: pa.DataType) -> bool:
    """Whether values are lists of any of Arrow's kinds."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _holds_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_pictures(kind.field("bytes").type)
    if is_list(kind):
        return bool(kind.value_type == pa.uint8())
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_null(kind)
