"""Reading an Orbax checkpoint (JAX) through tensorstore alone, one leaf at a time.

On disk such a directory is one OCDBT key-value store (`manifest.ocdbt`, `d/`, `ocdbt.process_*/`) that holds
a zarr array per leaf, under the keys of its path joined by dots, beside `_METADATA`, the JSON of the tree.
While Orbax saves, the directory carries `.orbax-checkpoint-tmp` in its name, each process writes a store of
its own, and the common manifest is the last thing to appear.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_plugins.errors import ZooError

TEMPORARY = ".orbax-checkpoint-tmp"
TREE, MANIFEST = "_METADATA", "manifest.ocdbt"


@dataclass(frozen=True)
class Leaf:
    """One array of a tree: its path in the tree and its store's shape and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    store: Any

    def read(self) -> np.ndarray:
        """The whole array in float32, in memory.

        Raises:
            ZooError: Its data is missing or damaged.
        """
        try:
            return np.asarray(self.store.read().result(), dtype=np.float32)
        except (
            Exception
        ) as error:  # tensorstore raises ValueError, OSError and its own kinds for damaged files
            raise ZooError(
                f"the data of {self.name} cannot be read",
                got=str(error).splitlines()[0],
                expected="all files of the directory, complete",
                do="copy or download the checkpoint again",
            ) from error


def looks_like_orbax(directory: Path) -> bool:
    """Whether a directory is, or was going to be, one tree saved by Orbax."""
    names = (TREE, MANIFEST, "ocdbt.process_0")
    return TEMPORARY in directory.name or any((directory / name).exists() for name in names)


def uncommitted_reason(directory: Path) -> str | None:
    """Why a directory is a save that never finished; None for a finished one."""
    for part in directory.resolve().parts:
        if TEMPORARY in part:
            return f"{part} is the name of a save in progress: it was never committed"
    absent = [name for name in (TREE, MANIFEST) if not (directory / name).is_file()]
    if absent:
        return f"{' and '.join(absent)} is missing, which Orbax writes last: the save was never committed"
    return None


def open_tree(directory: Path) -> dict[str, Leaf]:
    """The leaves of a saved tree by their path (`params/PaliGemma/img/embedding/kernel`), without their data.

    A last component `value`, which flax's variables add, is dropped.

    Raises:
        ZooError: No tensorstore, a save that was never committed, or a damaged directory.
    """
    reason = uncommitted_reason(directory)
    if reason:
        raise ZooError(
            f"{directory} is not a finished checkpoint",
            got=reason,
            expected=f"a committed Orbax directory with {TREE} and {MANIFEST}",
            do="use the checkpoint of an earlier step; the weights of this one are incomplete",
        )
    tensorstore = _tensorstore()
    base = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{directory.resolve()}/"}}
    try:
        metadata = json.loads((directory / TREE).read_text())
        entries = metadata["tree_metadata"].values()
        keys = {
            _tree_path(entry): _store_key(entry)
            for entry in entries
            if not entry["value_metadata"].get("skip_deserialize", False)
        }
        stored = [key.decode() for key in tensorstore.KvStore.open(base).result().list().result()]
        driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
        leaves = {}
        for name, key in sorted(keys.items()):
            spec = {"driver": driver, "kvstore": {**base, "path": f"{key}/"}}
            store = tensorstore.open(spec, open=True, read=True).result()
            if metadata.get("store_array_data_equal_to_fill_value"):
                _require_all_chunks(store, key, stored)
            leaves[name] = Leaf(name, tuple(store.shape), store.dtype.name, store)
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        raise ZooError(
            f"the checkpoint {directory} is damaged",
            got=str(error).splitlines()[0],
            expected="an Orbax directory as it was saved, all files complete",
            do="copy or download it again",
        ) from error
    return leaves


def _require_all_chunks(store: Any, key: str, stored: list[str]) -> None:
    """zarr reads an absent chunk as zeros; a tree that stores zeros too has no absent chunks."""
    chunk = store.chunk_layout.write_chunk.shape or ()  # None for a scalar
    expected = math.prod(-(-size // part) for size, part in zip(store.shape, chunk, strict=True))
    described = 1  # .zarray or zarr.json
    found = sum(name.startswith(f"{key}/") for name in stored) - described
    if found != expected:
        raise ValueError(f"{key} has {found} of its {expected} chunks")


def _store_key(entry: dict[str, Any]) -> str:
    return ".".join(str(part["key"]) for part in entry["key_metadata"])


def _tree_path(entry: dict[str, Any]) -> str:
    return "/".join(str(part["key"]) for part in entry["key_metadata"]).removesuffix("/value")


def _tensorstore() -> Any:
    try:
        import tensorstore
    except ImportError as error:
        raise ZooError(
            "reading JAX checkpoints needs the package tensorstore",
            got=str(error),
            do="pip install 'lerobot_policy_zoo[openpi]'",
        ) from error
    return tensorstore
