"""An openpi checkpoint as a stream of our tensors with their origins: JAX directories, PyTorch folders."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from lerobot_plugins.checkpoints.openpi_layout import (
    TRANSFORMS,
    Placement,
    lora_names,
    merge_lora,
    plan,
)
from lerobot_plugins.checkpoints.orbax import TEMPORARY, looks_like_orbax, open_tree
from lerobot_plugins.checkpoints.pi05_names import TIES, UNTIED, rename
from lerobot_plugins.checkpoints.policy_folder import WEIGHTS
from lerobot_plugins.checkpoints.safetensors_stream import open_weights
from lerobot_plugins.errors import ZooError

Origin = dict[str, Any]


class OpenpiSource(Protocol):
    """What both kinds of checkpoints give.

    Attributes:
        kind: `openpi-jax` or `openpi-pytorch`.
        assets: The folder with `<asset id>/norm_stats.json`; need not exist.
        shapes: Our name of every tensor, and its shape.
        set_aside: Stored tensors that are no part of the network.
    """

    kind: str
    assets: Path
    shapes: dict[str, tuple[int, ...]]
    set_aside: list[str]

    def tensors(self) -> Iterator[tuple[str, Tensor, Origin]]:
        """Our name, the tensor, and where it comes from: source, layer, transform."""


def open_source(path: Path) -> OpenpiSource:
    """Open a checkpoint: its root, the `params` directory in it, or a PyTorch folder.

    Raises:
        ZooError: There is none at this path, or an uncommitted, damaged or other network's one.
    """
    if (path / WEIGHTS).is_file():
        return TorchSource(path)
    if looks_like_orbax(path):
        return JaxSource(path, path.parent / "assets")
    children = sorted(path.glob("params*")) if path.is_dir() else []
    # `params` alone where it exists, else what an interrupted save left of it.
    for child in children:
        if child.name == "params" or TEMPORARY in child.name:
            return JaxSource(child, path / "assets")
    raise ZooError(
        f"there is no openpi checkpoint in {path}",
        got=", ".join(sorted(child.name for child in path.iterdir())[:8])
        if path.is_dir()
        else "no such folder",
        expected=f"a step's folder with params/ (JAX) or {WEIGHTS} (PyTorch)",
        do="give the folder of one step, for example .../my_experiment/29999",
    )


class JaxSource:
    """A saved tree of flax parameters, read leaf by leaf: the largest one must fit into memory."""

    kind = "openpi-jax"

    def __init__(self, params: Path, assets: Path) -> None:
        self.assets = assets
        self.leaves = {name.removeprefix("params/"): leaf for name, leaf in open_tree(params).items()}
        self.placements = plan({name: leaf.shape for name, leaf in self.leaves.items()})
        self.shapes = {place.target: place.shape for place in self.placements}
        self.set_aside: list[str] = []

    def tensors(self) -> Iterator[tuple[str, Tensor, Origin]]:
        for source, places in groupby(self.placements, key=lambda place: place.source):
            yield from self._of_leaf(source, places)

    def _of_leaf(self, source: str, places: Iterable[Placement]) -> Iterator[tuple[str, Tensor, Origin]]:
        leaf = self._read(source)
        low_rank = [self._read(name) for name in lora_names(source) if name in self.leaves]
        for place in places:
            at = () if place.layer is None else place.layer
            w = leaf[at]
            transform = place.transform
            if low_rank:
                a, b = (part[at] for part in low_rank)
                w = merge_lora(source, w, a, b)
                transform += f" of w + a b, rank {a.shape[-1]}, alpha = rank"
            origin = {"source": source, "layer": place.layer, "transform": transform}
            yield place.target, TRANSFORMS[place.transform](w), origin

    def _read(self, name: str) -> Tensor:
        return torch.from_numpy(self.leaves[name].read())


class TorchSource:
    """A folder with model.safetensors under openpi's names."""

    kind = "openpi-pytorch"

    def __init__(self, folder: Path) -> None:
        self.path = folder / WEIGHTS
        self.assets = folder / "assets"
        self.set_aside: list[str] = []
        self.stored: dict[str, str] = {}
        with open_weights(self.path) as file:
            for name in sorted(file.keys()):
                self._place(name, file)
            self.shapes = {
                target: tuple(file.get_slice(name).get_shape()) for target, name in self.stored.items()
            }

    def _place(self, name: str, file: Any) -> None:
        renamed = rename(name)
        if renamed is None:
            self.set_aside.append(name)
            return
        target = TIES.get(renamed, renamed)
        if target in self.stored:
            other = self.stored[target]
            if other in UNTIED:
                self.stored[target], name = name, other
            elif not torch.equal(file.get_tensor(name), file.get_tensor(other)):
                raise ZooError(
                    f"{self.path} holds one tensor twice, with different values",
                    got=f"{other} and {name}",
                    expected="equal values, or one of them",
                    do="find out which one was trained and remove the other",
                )
            self.set_aside.append(name)
        else:
            self.stored[target] = name

    def tensors(self) -> Iterator[tuple[str, Tensor, Origin]]:
        with open_weights(self.path) as file:
            for target, name in self.stored.items():
                yield target, file.get_tensor(name), {"source": name, "layer": None, "transform": "w"}
