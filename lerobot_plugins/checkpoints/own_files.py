"""A checkpoint may only name files of its own folder.

LeRobot 0.6.1 joins the names that a processor's JSON gives to its folder as they are, `../x` included. So our
policies look at them before LeRobot does.
"""

import json
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError

PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")
LONGEST_NAME = 255


def require_own_names(processor: Path) -> None:
    """Refuse a processor that names a state file elsewhere.

    Args:
        processor: Its JSON, in the checkpoint's folder.

    Raises:
        ZooError: A name that is no plain file name, or a link that leads out of the folder.
    """
    try:
        steps: Any = json.loads(processor.read_text(encoding="utf-8"))["steps"]
        names = [step.get("state_file") for step in steps]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ZooError(
            f"{processor} is no processor", got=f"{type(error).__name__}: {error}", expected='{"steps": []}'
        ) from error
    for name in names:
        if name is not None and not is_own_name(name):
            raise ZooError(
                f"{processor.name} names a file outside of its folder",
                got=repr(name)[:100],
                expected="the name of a file beside it",
                do="do not use this checkpoint: whoever made it wants another file to be read",
            )
        if name is not None and _leads_out(processor.parent / name):
            raise ZooError(
                f"{processor.parent / name} is a link out of the checkpoint",
                got=(processor.parent / name).resolve(),
                expected=f"a file in {processor.parent}",
                do="copy the file there if it is yours; otherwise do not use this checkpoint",
            )


def is_own_name(name: object) -> bool:
    """Whether it is a plain file name on every system: no folder, drive, NUL, and not too long."""
    return (
        isinstance(name, str)
        and name not in ("", ".", "..")
        and not any(sign in name for sign in "/\\:\0")
        and len(name.encode("utf-8", "surrogatepass")) <= LONGEST_NAME
    )


def _leads_out(path: Path) -> bool:
    """The Hub's cache keeps its files as links to `blobs`, two folders up."""
    if not path.is_symlink():
        return False
    folder, target = path.parent.resolve(), path.resolve()
    in_cache = folder.parent.name == "snapshots" and target.is_relative_to(folder.parent.parent)
    return not (target.is_relative_to(folder) or in_cache)
