"""Offline runs of Weights & Biases: `--wandb.enable=true --wandb.mode=offline`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.history import History, history_of


def wandb_files(folder: Path) -> list[Path]:
    """The runs' files below a folder, oldest first; a resumed training has several."""
    return sorted(
        (path for path in folder.glob("**/run-*.wandb") if "latest-run" not in path.parts),
        key=lambda path: path.parent.name.removeprefix("offline-"),
    )


def read_wandb(paths: list[Path], source: Path) -> History:
    """The history of one training, from the files of its runs.

    Raises:
        ZooError: wandb is not installed, or a file is damaged.
    """
    return history_of(source, "wandb", (row for path in paths for row in _rows(path)))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    try:
        from wandb.proto import wandb_internal_pb2
        from wandb.sdk.internal.datastore import DataStore
    except ImportError as error:
        raise ZooError(
            "reading offline runs needs the package wandb in a release that can read them",
            got=str(error),
            do="pip install wandb, or give the text log",
        ) from error
    store = DataStore()
    try:
        store.open_for_scan(str(path))
        while (data := _next(store, path)) is not None:
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                yield from _history(record.history)
    finally:
        store.close()


def _next(store: Any, path: Path) -> bytes | None:
    try:
        data: bytes | None = store.scan_data()
    except AssertionError as error:  # what wandb says of a wrong checksum, or of a run that was killed
        raise ZooError(
            f"{path} is damaged", got=str(error) or "a wrong checksum", do="give the text log instead"
        ) from error
    return data


def _history(history: Any) -> Iterator[tuple[int, dict[str, float]]]:
    values: dict[str, Any] = {}
    for item in history.item:
        values["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    step = values.get("_step", history.step.num)
    numbers = {
        name: float(value)
        for name, value in values.items()
        if not name.startswith("_") and isinstance(value, int | float | str) and _is_number(value)
    }
    if numbers:
        yield int(step), numbers


def _is_number(value: float | str) -> bool:
    """wandb writes what is not finite as words."""
    return not isinstance(value, str) or value in ("NaN", "Infinity", "-Infinity")
