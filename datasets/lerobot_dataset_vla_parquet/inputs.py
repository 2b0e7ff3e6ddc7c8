"""The files of a recording: from files, folders and patterns to one list in natural order."""

import glob
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lerobot_plugins.errors import ZooError, first_names

_SUFFIXES = (".parquet", ".parq", ".pq")


@dataclass(frozen=True)
class InputFile:
    """One file and what it is called in messages and reports, which name no folder of this machine.

    Args:
        path: The file.
        name: Its path below the folder that was given; of a file that was given, its name.
    """

    path: Path
    name: str

    def sha256(self) -> str:
        """The digest of its content."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_files(inputs: Sequence[str]) -> tuple[InputFile, ...]:
    """The Parquet files that are meant, in the order of the inputs; those of a folder or pattern by number.

    Args:
        inputs: Files, folders (searched through), and patterns such as `day1/*.parquet`.

    Raises:
        ZooError: An input is nothing, holds no Parquet file, or two inputs name one file.
    """
    found = [file for given in inputs for file in _files(given)]
    paths = [file.path.resolve() for file in found]
    if twice := {file.name for file, path in zip(found, paths, strict=True) if paths.count(path) > 1}:
        raise ZooError("a file is named twice", got=first_names(twice), expected="each file once")
    names = [file.name for file in found]
    if len(set(names)) < len(names):
        found = [InputFile(file.path, f"{file.path.parent.name}/{file.name}") for file in found]
        names = [file.name for file in found]
    if ambiguous := {name for name in names if names.count(name) > 1}:
        raise ZooError(
            "files of different folders have the same name",
            got=first_names(ambiguous),
            expected="files that can be told apart in reports",
            do="give the folder above them",
        )
    return tuple(found)


def _files(given: str) -> list[InputFile]:
    path = Path(given)
    if path.is_file():
        return [InputFile(path, path.name)]
    if path.is_dir():
        candidates = [file for file in path.rglob("*") if file.is_file() and not _hidden(file, path)]
        found = [file for file in candidates if file.suffix in _SUFFIXES]
        if not found:
            names = first_names(file.relative_to(path) for file in candidates)
            raise ZooError(
                f"{given} holds no Parquet file", got=names or "an empty folder", expected="*.parquet"
            )
        named = [InputFile(file, file.relative_to(path).as_posix()) for file in found]
    else:
        named = [
            InputFile(Path(file), Path(file).name)
            for file in glob.glob(given, recursive=True)
            if Path(file).is_file()
        ]
        if not named:
            raise ZooError(
                f"{given} names nothing",
                expected="a Parquet file, a folder, or a pattern",
                do="correct the path",
            )
    return sorted(named, key=lambda file: _natural(file.path.as_posix()))


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """`file_10` after `file_9`."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts] + [(0, 0, name)]
