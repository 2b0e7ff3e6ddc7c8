"""The folder in which a dataset grows: `<root>.partial` beside its final place.

settings.json       what is converted and how; another conversion is refused
lock                held while a conversion runs
working/000012      an episode being written
episodes/000012     a finished one, which got here by one rename: never half-written, never done twice
dataset             the dataset being assembled, which becomes <root> by one rename
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError, first_names


def require_new(root: Path) -> None:
    """Refuse a root that exists, or that can never be made, before any work is done.

    Raises:
        ZooError: It is there, be it a link that leads nowhere, or lies below something that is no folder.
    """
    if os.path.lexists(root):
        kind = "a link" if root.is_symlink() else "a folder" if root.is_dir() else "a file"
        content = f" with {first_names(path.name for path in root.iterdir())}" if root.is_dir() else ""
        raise ZooError(
            f"{root} exists already",
            got=f"{kind}{content}",
            expected="a folder that does not exist yet",
            do="choose another --root, or delete it first",
        )
    above = next(path for path in root.absolute().parents if os.path.lexists(path))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise ZooError(
            f"{root} cannot be made",
            got=f"{above} is " + ("no folder" if not above.is_dir() else "not writable"),
            expected="a folder that can be written to",
            do="choose another --root",
        )


@dataclass(frozen=True)
class Staging:
    """The staged episodes of one conversion; picklable."""

    folder: Path

    @classmethod
    def of(cls, root: Path) -> "Staging":
        """The staging folder of a dataset."""
        return cls(root.with_name(root.name + ".partial"))

    @property
    def dataset(self) -> Path:
        """Where the dataset is assembled."""
        return self.folder / "dataset"

    def episode(self, index: int) -> Path:
        """The folder of a finished episode."""
        return self.folder / "episodes" / f"{index:06d}"

    def progress(self, total: int) -> str:
        """How far a conversion of `total` episodes has come."""
        finished = sum(self.is_finished(index) for index in range(total))
        kept = f" and kept in {self.folder}" if finished else ""
        return f"{finished} of {total} episodes are finished{kept}"

    def is_finished(self, index: int) -> bool:
        """Whether an episode needs no more work."""
        return self.episode(index).is_dir()

    @contextmanager
    def write_episode(self, index: int) -> Iterator[Path]:
        """A folder to write an episode into; leaving the block without an error finishes the episode."""
        working = self.folder / "working" / f"{index:06d}"
        working.mkdir()
        try:
            yield working
            working.rename(self.episode(index))
        except BaseException:
            shutil.rmtree(working)
            raise

    @contextmanager
    def opened(self, settings: dict[str, Any]) -> Iterator[None]:
        """Hold the folder for one conversion, new or continued.

        Raises:
            ZooError: Another process holds it, or it belongs to a conversion with other settings.
        """
        (self.folder / "episodes").mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ZooError(
                    f"another process is converting into {self.folder}", do="wait until it has finished"
                ) from error
            self._check_settings(settings)
            for leftover in (self.folder / "working", self.dataset):
                if leftover.exists():
                    shutil.rmtree(leftover)
            (self.folder / "working").mkdir()
            try:
                yield
            finally:
                if self.folder.exists() and self.is_empty():
                    self.remove()

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)

    def is_empty(self) -> bool:
        """Whether no episode is finished."""
        return not any((self.folder / "episodes").iterdir())

    def _check_settings(self, settings: dict[str, Any]) -> None:
        path = self.folder / "settings.json"
        staged = json.loads(path.read_text()) if path.exists() else None
        if staged is None or self.is_empty():
            temporary = path.with_name("settings.json.new")
            temporary.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
            temporary.replace(path)
        elif staged != settings:
            different = [
                key for key in settings.keys() | staged.keys() if staged.get(key) != settings.get(key)
            ]
            raise ZooError(
                f"{self.folder} holds episodes of another conversion",
                got=f"other {first_names(different)}",
                expected="the same source and settings, to continue it",
                do=f"repeat the earlier command, choose another --root, or delete {self.folder}",
            )
