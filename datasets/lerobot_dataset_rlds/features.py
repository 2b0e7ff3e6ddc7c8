"""TFDS' features.json as a flat list of fields, and the reading of a field from a parsed Example.

Fields are named by their path: `action`, `observation/image` for the fields of a step, `episode_metadata/...`
for those of an episode.

T steps; D the shape of one step's value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lerobot_dataset_rlds.example import Column
from lerobot_plugins.errors import ZooError

Kind = Literal["number", "text", "image", "unsupported"]
STEPS = "steps/"


@dataclass(frozen=True)
class Field:
    """One field of a data set.

    Args:
        column: Its name in the Example.
        kind: What it holds.
        shape: The shape of one step's value; -1 where it varies.
        dtype: NumPy's name of its numbers' type.
        problem: Why it is unsupported.
    """

    column: str
    kind: Kind
    shape: tuple[int, ...] = ()
    dtype: str = ""
    problem: str = ""

    @property
    def is_per_step(self) -> bool:
        """Whether it has a value for each step, not one for the episode."""
        return self.column.startswith(STEPS)

    @property
    def size(self) -> int:
        """How many entries of the Example belong to one value."""
        return int(np.prod(self.shape)) if self.kind == "number" else 1


def read_fields(features: Mapping[str, Any]) -> dict[str, Field]:
    """All fields of features.json by path.

    Raises:
        ZooError: It does not describe RLDS episodes, or in a form older than TFDS 4.7's, or not as TFDS does.
    """
    try:
        return _read_fields(features)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ZooError(
            "features.json is not understood",
            got=repr(error),
            expected="what TFDS writes",
            do="copy it again from the original data set",
        ) from error


def _read_fields(features: Mapping[str, Any]) -> dict[str, Field]:
    if "featuresDict" not in features:
        raise ZooError(
            "features.json is not in TFDS' present form",
            got=first_keys(features),
            expected="pythonClassName, featuresDict",
            do="load and save the data set once with tensorflow_datasets >= 4.7",
        )
    top = features["featuresDict"]["features"]
    if "steps" not in top or "sequence" not in top["steps"]:
        raise ZooError("features.json has no sequence 'steps': this is not RLDS", got=first_keys(top))
    fields = dict(_walk(top["steps"]["sequence"]["feature"], "", STEPS))
    for name, feature in top.items():
        if name != "steps":
            fields |= dict(_walk(feature, name, ""))
    return fields


def first_keys(mapping: Mapping[str, Any]) -> str:
    """The keys of a mapping, for messages."""
    return ", ".join(sorted(mapping)) or "nothing"


def count_steps(fields: Mapping[str, Field], columns: Mapping[str, Column]) -> int:
    """The number of steps of an episode.

    Fields with one entry a step count it directly; so a vector of the wrong length is noticed, not divided.
    """
    for field in sorted(fields.values(), key=lambda field: field.size):
        if field.is_per_step and field.kind != "unsupported" and field.size and field.column in columns:
            return len(columns[field.column]) // field.size
    raise ZooError("no step has any field that features.json names", got=first_keys(columns))


def read_numbers(field: Field, columns: Mapping[str, Column], steps: int) -> np.ndarray:
    """A numeric field of all steps, (T, D) in the field's own type; a value of the episode is repeated."""
    values = _entries(field, columns, steps)
    if not isinstance(values, np.ndarray):
        if len(values):
            raise ZooError(f"'{field.column}' holds no numbers", got="bytes", expected=field.dtype)
        values = np.empty(0, field.dtype)
    dtype = np.dtype(field.dtype)
    if (values.dtype.kind == "f") != (dtype.kind == "f"):
        raise ZooError(f"'{field.column}' holds numbers of another kind", got=values.dtype, expected=dtype)
    typed = values.astype(np.float32 if dtype.kind == "f" else dtype)
    if dtype.kind != "f" and not np.array_equal(typed, values):
        raise ZooError(f"'{field.column}' holds integers beyond its type", got=values.max(), expected=dtype)
    per_value_TD = typed.reshape(-1, *field.shape)
    return per_value_TD if field.is_per_step else np.repeat(per_value_TD, steps, axis=0)


def read_texts(field: Field, columns: Mapping[str, Column], steps: int) -> list[str]:
    """A text field of all steps."""
    try:
        texts = [str(value, "utf-8") for value in _byte_entries(field, columns, steps)]
    except UnicodeDecodeError as error:
        raise ZooError(f"'{field.column}' is no text", got=error, expected="UTF-8") from error
    return texts if field.is_per_step else texts * steps


def read_images(field: Field, columns: Mapping[str, Column], steps: int) -> list[memoryview]:
    """The encoded pictures of all steps."""
    return _byte_entries(field, columns, steps)


def _byte_entries(field: Field, columns: Mapping[str, Column], steps: int) -> list[memoryview]:
    entries = _entries(field, columns, steps)
    if not isinstance(entries, np.ndarray):
        return entries
    if len(entries):
        raise ZooError(f"'{field.column}' holds no {field.kind}", got=entries.dtype, expected="bytes")
    return []


def _entries(field: Field, columns: Mapping[str, Column], steps: int) -> Column:
    """A field's entries, their number checked."""
    if field.column not in columns:
        raise ZooError(
            f"'{field.column}' is missing in this episode",
            got=first_keys(columns),
            expected="the fields that features.json names",
            do="leave the field out of the mapping",
        )
    entries = columns[field.column]
    values = steps if field.is_per_step else 1
    if len(entries) != values * field.size:
        raise ZooError(
            f"'{field.column}' has other dimensions in this episode",
            got=f"{len(entries)} entries for {steps} steps ({len(entries) / steps if steps else 0:g} a step)",
            expected=f"{values * field.size} entries: {field.size} for each value",
        )
    return entries


def _walk(feature: Mapping[str, Any], path: str, prefix: str) -> Iterator[tuple[str, Field]]:
    if "featuresDict" in feature:
        for name, child in feature["featuresDict"]["features"].items():
            yield from _walk(child, f"{path}/{name}" if path else name, prefix)
    else:
        yield path, _field(feature, prefix + path)


def _field(feature: Mapping[str, Any], column: str) -> Field:
    if "tensor" in feature:
        return _tensor(feature["tensor"], column)
    if "image" in feature:
        shape = _shape(feature["image"]) or (-1, -1, 3)
        dtype = feature["image"].get("dtype") or "uint8"
        if dtype != "uint8" or len(shape) != 3 or shape[2] != 3:
            return Field(
                column, "unsupported", problem=f"a picture of {dtype} {shape}: only uint8 RGB is read"
            )
        return Field(column, "image", shape, dtype)
    if "text" in feature:
        return Field(column, "text")
    if "classLabel" in feature:
        return Field(column, "number", dtype="int64")
    if "sequence" in feature:
        return Field(column, "unsupported", problem="a sequence within a step (ragged)")
    kind = str(feature.get("pythonClassName", "unknown")).rpartition(".")[2]
    return Field(column, "unsupported", problem=f"a feature of the kind {kind}")


def _tensor(tensor: Mapping[str, Any], column: str) -> Field:
    shape, dtype = _shape(tensor), tensor.get("dtype", "")
    if tensor.get("encoding", "none") != "none":
        return Field(column, "unsupported", problem=f"a tensor stored with the encoding {tensor['encoding']}")
    if any(size < 1 for size in shape):
        return Field(column, "unsupported", problem=f"a tensor of the varying or empty shape {shape}")
    if dtype in ("string", "object"):
        if shape:
            return Field(column, "unsupported", problem=f"several texts for each step, {shape}")
        return Field(column, "text")
    try:
        known = np.dtype(dtype).kind in "fiub"
    except TypeError:
        known = False
    if not known:
        return Field(column, "unsupported", problem=f"a tensor of the dtype '{dtype}'")
    return Field(column, "number", shape, dtype)


def _shape(description: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in description.get("shape", {}).get("dimensions", ()))
