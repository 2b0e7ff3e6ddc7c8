"""Writing a folder whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lerobot_plugins.errors import ZooError


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes `output` when the context ends, and vanishes on an exception.

    Raises:
        ZooError: `output` exists.
    """
    if output.exists():
        raise ZooError(
            "the output folder exists", got=output, expected="a new folder", do="choose another --output"
        )
    partial = output.with_name(output.name + ".partial")
    # Left by a run that was killed.
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    os.replace(partial, output)
