"""Names of files that come out of files: a downloaded JSON must not lead out of its folder."""

import re
import unicodedata
from pathlib import Path

from lerobot_plugins.errors import ZooError

LONGEST = 255  # bytes of one name, as file systems have it


def inside(root: Path, name: object, named_by: object) -> Path:
    """The path of a file that another file names, below `root`.

    Args:
        root: The folder that the name must stay in.
        name: What the other file says: a relative path with `/` between its parts.
        named_by: The file that names it, for the message.

    Raises:
        ZooError: The name is none, is absolute, contains `..`, a drive, a backslash or characters that are
            not shown, is too long, or is a link that leads out of the folder. A link into the blobs of the
            same repository is one of the Hub's cache and stays.
    """
    if reason := _reason(name):
        raise ZooError(
            f"{named_by} names a file outside of its folder",
            got=f"{str(name)[:80]!r}, {reason}",
            expected=f"a file below {root}",
            do="do not use this download: whoever made it wants another file to be read",
        )
    path = root / str(name)
    if not _stays(root, path):
        raise ZooError(
            f"{path} is a link out of its folder",
            got=path.resolve(),
            expected=f"a file below {root}",
            do="copy the file there if it is yours; otherwise do not use this download",
        )
    return path


def _reason(name: object) -> str | None:
    """What is wrong with a name; None if nothing."""
    if not isinstance(name, str) or not name:
        return "which is no name"
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in name):
        return "which has characters that are not shown"
    if "\\" in name or re.match(r"[A-Za-z]:", name):
        return "which is a path of Windows"
    if name.startswith(("/", "~")):
        return "which is not relative"
    if {"", ".", ".."} & set(name.split("/")):
        return "which leads elsewhere"
    if any(len(part.encode()) > LONGEST for part in name.split("/")):
        return "which is too long"
    return None


def _stays(root: Path, path: Path) -> bool:
    target, home = path.resolve(), root.resolve()
    if target.is_relative_to(home):
        return True
    return home.parent.name == "snapshots" and target.is_relative_to(home.parent.parent / "blobs")
