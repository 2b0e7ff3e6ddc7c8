"""Find an RLDS data set on disk and read what TFDS says of it: name, version, splits, shards.

<name>/<version>/dataset_info.json, features.json, <name>-<split>.tfrecord-00000-of-00001
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError, first_names

_DEFAULT_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_SEARCH_DEPTH = 4
_COPY = "copy dataset_info.json and features.json again from the original data set"


@dataclass(frozen=True)
class Split:
    """The shards of one split and how many episodes each should hold."""

    name: str
    shards: tuple[Path, ...]
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class RldsFolder:
    """One version of one data set.

    Args:
        folder: Where it lies.
        name: Its name.
        version: Its version.
        splits: Its splits by name.
        features: The content of features.json.
    """

    folder: Path
    name: str
    version: str
    splits: Mapping[str, Split]
    features: Mapping[str, Any]


def open_folder(path: Path) -> RldsFolder:
    """Find and read the one data set at or below `path`.

    Raises:
        ZooError: There is none, or more than one, or its description is incomplete.
    """
    folder = _find_version(path)
    info = _read_json(folder / "dataset_info.json")
    file_format = info.get("fileFormat", "tfrecord")
    if file_format != "tfrecord":
        raise ZooError(
            f"{folder} is not stored as TFRecord",
            got=file_format,
            expected="tfrecord",
            do="write it again with tensorflow_datasets and file_format='tfrecord'",
        )
    if not info.get("splits"):
        raise ZooError(
            f"{folder}/dataset_info.json names no splits",
            got=first_names(info),
            expected='"splits": [...]',
            do=_COPY,
        )
    name = info.get("name") or folder.parent.name
    try:
        splits = {split["name"]: _read_split(folder, name, split) for split in info["splits"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ZooError(
            f"{folder}/dataset_info.json describes its splits in a way that is not understood",
            got=repr(error),
            expected='"splits": [{"name": "train", "shardLengths": ["12"], ...}]',
            do=_COPY,
        ) from error
    return RldsFolder(
        folder, name, info.get("version") or folder.name, splits, _read_json(folder / "features.json")
    )


def choose_splits(found: RldsFolder, names: str) -> list[Split]:
    """The splits named by `train` or `train+val`."""
    chosen = names.split("+")
    if len(set(chosen)) < len(chosen):
        expected = "+".join(dict.fromkeys(chosen))
        raise ZooError("--split names a split twice", got=names, expected=expected, do="correct --split")
    for name in chosen:
        if name not in found.splits:
            raise ZooError(
                f"{found.folder} has no split '{name}'",
                got=names,
                expected=f"some of {first_names(found.splits)}",
                do="correct --split",
            )
    return [found.splits[name] for name in chosen]


def _find_version(path: Path) -> Path:
    if not path.is_dir():
        raise ZooError(
            f"{path} is not a folder",
            got="a file" if path.exists() else "nothing there",
            expected="a folder",
            do="name a TFDS version folder or a folder above it",
        )
    levels = ["/".join(["*"] * depth + ["dataset_info.json"]) for depth in range(_SEARCH_DEPTH)]
    found = sorted(info.parent for level in levels for info in path.glob(level))
    if not found:
        content = [str(file.relative_to(path)) for file in sorted(path.rglob("*"))[:1000] if file.is_file()]
        raise ZooError(
            f"no dataset_info.json at or below {path}",
            got=f"{len(content)} files: {first_names(content)}" if content else "an empty folder",
            expected="a TFDS version folder with dataset_info.json, features.json and .tfrecord shards",
            do="name the folder that holds dataset_info.json, or copy that file from the original data set",
        )
    if len(found) > 1:
        raise ZooError(
            f"{len(found)} data sets or versions lie below {path}",
            got=first_names(folder.relative_to(path) for folder in found),
            expected="one",
            do="name one of these folders",
        )
    return found[0]


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ZooError(
            f"{path} is missing",
            got=first_names(file.name for file in path.parent.iterdir()),
            expected=path.name,
            do=_COPY,
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ZooError(f"{path} is not valid JSON", got=error, expected="a JSON object", do=_COPY) from error
    if not isinstance(content, dict):
        raise ZooError(f"{path} holds no JSON object", got=type(content).__name__, expected="{...}", do=_COPY)
    return content


def _read_split(folder: Path, dataset: str, split: Mapping[str, Any]) -> Split:
    name = split["name"]
    lengths = tuple(int(length) for length in split.get("shardLengths", ()))
    if not lengths:
        raise ZooError(
            f"{folder}/dataset_info.json gives no shardLengths for the split '{name}'",
            got=first_names(split),
            expected="the number of episodes in each shard",
            do="load and save the data set once with tensorflow_datasets >= 4.7",
        )
    template = split.get("filepathTemplate") or _DEFAULT_TEMPLATE
    shards = []
    for index in range(len(lengths)):
        values = {
            "DATASET": dataset,
            "SPLIT": name,
            "FILEFORMAT": "tfrecord",
            "SHARD_INDEX": f"{index:05d}",
            "NUM_SHARDS": f"{len(lengths):05d}",
            "SHARD_X_OF_Y": f"{index:05d}-of-{len(lengths):05d}",
        }
        shards.append(folder / _file_name(template, values))
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise ZooError(
            f"shards of the split '{name}' are missing in {folder}",
            got=f"{len(missing)} of {len(shards)} missing: {first_names(missing)}",
            expected=f"all {len(shards)} shards",
            do="download them",
        )
    return Split(name, tuple(shards), lengths)


def _file_name(template: str, values: Mapping[str, str]) -> str:
    """Fill in the template; the result must be a plain file name, since it comes from a downloaded file."""
    file_name = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)
    if not re.fullmatch(r"[\w.+-]+", file_name) or file_name.startswith("."):
        raise ZooError(
            "dataset_info.json names a shard in a way that is not supported",
            got=file_name,
            expected="a plain file name",
            do=_COPY,
        )
    return file_name
