"""Where the weights of a checkpoint lie, and what its configuration says of them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot_plugins.checkpoints.safetensors_stream import open_weights
from lerobot_plugins.errors import ZooError

# As `checkpoints.policy_folder` has them, which imports LeRobot.
_WEIGHTS, _ADAPTER, _CONFIG, _ADAPTER_CONFIG = (
    "model.safetensors",
    "adapter_model.safetensors",
    "config.json",
    "adapter_config.json",
)


@dataclass(frozen=True)
class Stored:
    """The weights of one checkpoint.

    Args:
        file: The safetensors file.
        folder: The policy's folder; None for a file without one.
        config: Its config.json; empty where there is none.
        adapter: Its adapter_config.json, if it is a LoRA adapter.
    """

    file: Path
    folder: Path | None
    config: dict[str, Any]
    adapter: dict[str, Any] | None

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The file, open for reading one tensor at a time; raises `ZooError` if it is incomplete."""
        with open_weights(self.file) as file:
            yield file

    @property
    def base(self) -> Path | None:
        """The base of an adapter."""
        name = (self.adapter or {}).get("base_model_name_or_path")
        return Path(str(name)) if name else None


def stored_weights(path: Path) -> Stored:
    """Find the weights.

    Args:
        path: A policy folder, whole or adapter, a checkpoint of lerobot-train, a run (its last checkpoint),
            or a safetensors file.

    Raises:
        ZooError: There are none.
    """
    if path.is_file():
        return Stored(path, None, {}, None)
    for inner in ("checkpoints/last/pretrained_model", "last/pretrained_model", "pretrained_model", "."):
        folder = path / inner
        for name in (_ADAPTER, _WEIGHTS):
            if (folder / name).is_file():
                adapter = _json(folder / _ADAPTER_CONFIG) if name == _ADAPTER else None
                return Stored(folder / name, folder.resolve(), _json(folder / _CONFIG), adapter)
    raise ZooError(
        f"there are no weights in {path}",
        got="a folder without them" if path.is_dir() else "nothing",
        expected=f"{_WEIGHTS} or {_ADAPTER} in a policy folder, a checkpoint or a run of lerobot-train",
        do="give such a folder; bring openpi's JAX checkpoints over with `lerobot-plugins checkpoint "
        "import-openpi`",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise ZooError(f"{path} is no JSON", got=error, do="copy the checkpoint again") from error
    return content if isinstance(content, dict) else {}
