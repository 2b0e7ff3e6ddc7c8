"""Strict loading of safetensors into a module, with a report of every tensor."""

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import init_empty_weights
from torch import nn

from lerobot_plugins.checkpoints.safetensors_stream import open_weights
from lerobot_plugins.errors import ZooError, first_names


@dataclass
class LoadReport:
    """What happened to each tensor of a file and of a module.

    Attributes:
        loaded: Copied as they were.
        converted: Copied with a change of dtype, `name (from -> to)`.
        tied: Copied from an alias, because the file stores a shared tensor under that name only; each is
            also in `loaded` or `converted`.
        set_aside: In the file, known not to be part of this network.
        missing: In the module, not in the file.
        unexpected: In the file, not in the module.
        mis_shaped: In both with different shapes, `name (file shape, module shape)`.
        non_finite: Floating tensors of the file that hold NaN or infinity.
        tied_but_different: Stored under both names of a shared tensor, with different values.
    """

    loaded: list[str] = field(default_factory=list)
    converted: list[str] = field(default_factory=list)
    tied: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mis_shaped: list[str] = field(default_factory=list)
    non_finite: list[str] = field(default_factory=list)
    tied_but_different: list[str] = field(default_factory=list)

    @property
    def problems(self) -> dict[str, list[str]]:
        """The kinds that make a load incomplete, where they have entries."""
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "mis-shaped": self.mis_shaped,
            "not finite": self.non_finite,
            "tied but different": self.tied_but_different,
        }
        return {kind: names for kind, names in kinds.items() if names}

    def require_complete(self, source: str, do: str | None = None) -> "LoadReport":
        """Return the report if every tensor found its place.

        Args:
            source: Where the tensors come from.
            do: What to do where not; None is what helps with a policy's own folder.

        Raises:
            ZooError: With the first names of each kind of problem.
        """
        if self.problems:
            found = "; ".join(
                f"{len(names)} {kind}: {first_names(names)}" for kind, names in self.problems.items()
            )
            raise ZooError(
                f"the weights in {source} do not fit this policy",
                got=found,
                expected="every tensor of the policy, no other, all of its shape, all finite",
                do=do or "check that config.json and model.safetensors belong together, or copy them again",
            )
        return self


def load_weights(
    module: nn.Module,
    path: Path,
    rename: Callable[[str], str | None] | None = None,
    ties: Mapping[str, str] | None = None,
    untied: Collection[str] = (),
) -> LoadReport:
    """Copy the tensors of a safetensors file into a module, one at a time, and report.

    Nothing is raised for tensors that do not fit: see `LoadReport.require_complete`. The module's dtypes
    and devices are kept; parameters on the meta device (see `empty_parameters`) get memory on the CPU.

    Args:
        module: Where the tensors go.
        path: A safetensors file.
        rename: Stored name -> the module's name, or None for a tensor that is no part of the network.
        ties: Alias -> the module's name, both as `rename` gives them. The alias is the source where the
            file lacks the name itself; where it has both, they must be equal.
        untied: Stored aliases that their writer does not keep equal: set aside where the file has the
            name itself.

    Raises:
        ZooError: The file is not a readable safetensors file, or `rename` refuses it.
    """
    report = LoadReport()
    own = module.state_dict(keep_vars=True)
    with open_weights(path) as file, torch.no_grad():
        sources, aliases = _sources(sorted(file.keys()), set(own), rename, ties or {}, report)
        for name, stored in aliases.items():
            if name not in sources:
                sources[name] = stored
                report.tied.append(name)
            elif stored in untied:
                report.set_aside.append(stored)
            elif not torch.equal(file.get_tensor(stored), file.get_tensor(sources[name])):
                report.tied_but_different.append(f"{stored} and {sources[name]}")
        report.missing = sorted(own.keys() - sources.keys())
        for name in sorted(sources):
            if own[name].is_meta:
                own[name] = _materialize(module, name)
            _copy(file.get_tensor(sources[name]), own[name], name, report)
    return report


def _sources(
    stored_names: list[str],
    own: set[str],
    rename: Callable[[str], str | None] | None,
    ties: Mapping[str, str],
    report: LoadReport,
) -> tuple[dict[str, str], dict[str, str]]:
    """The stored name for each of the module's names, and the stored aliases; the rest goes to the report."""
    sources: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for stored in stored_names:
        name = rename(stored) if rename is not None else stored
        if name is None:
            report.set_aside.append(stored)
            continue
        kind = sources if name in own else aliases
        target = name if name in own else ties.get(name)
        # A second source of the same tensor is as unexpected as a tensor without a place.
        if target not in own or target in kind:
            report.unexpected.append(stored)
        else:
            kind[target] = stored
    return sources, aliases


def empty_parameters() -> contextlib.AbstractContextManager:
    """Build modules without memory for their parameters, because `load_weights` follows; buffers are real."""
    return init_empty_weights(include_buffers=False)


def _materialize(module: nn.Module, name: str) -> nn.Parameter:
    """Give one meta parameter memory on the CPU, in its dtype."""
    owner, _, leaf = name.rpartition(".")
    parameters = module.get_submodule(owner)._parameters
    empty = parameters[leaf]
    assert empty is not None
    memory = torch.empty(empty.shape, dtype=empty.dtype)
    parameters[leaf] = nn.Parameter(memory, requires_grad=empty.requires_grad)
    return parameters[leaf]


def _copy(value: torch.Tensor, target: torch.Tensor, name: str, report: LoadReport) -> None:
    if value.shape != target.shape:
        report.mis_shaped.append(f"{name} ({tuple(value.shape)}, {tuple(target.shape)})")
        return
    if value.is_floating_point() and not torch.isfinite(value).all():
        report.non_finite.append(name)
    target.copy_(value)
    if value.dtype == target.dtype:
        report.loaded.append(name)
    else:
        report.converted.append(f"{name} ({value.dtype} -> {target.dtype})")
