"""What is wrong with the weights of a checkpoint: NaN, dead tensors, parts that should have moved."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lerobot_plugins.checkpoints.statistics import is_policy, policy_statistics
from lerobot_plugins.diagnosis.adapters import Adapted, adapted_layers, merged_differences
from lerobot_plugins.diagnosis.figures import Change, Figures, change_of, figures_of
from lerobot_plugins.diagnosis.stored import Stored, stored_weights
from lerobot_plugins.diagnosis.training import frozen_at_zero, trained_parameters
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.statistics.remarks import remarks

_AVERAGE = "ema."
_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_OPTIMIZER = Path("training_state") / "optimizer_state.safetensors"


@dataclass
class Diagnosis:
    """What was found.

    Args:
        file: The weights.
        tensors: Figures of every tensor of floats.
        changes: By name, where an initial checkpoint was given and has the tensor.
        parameters: Whether the configuration trains each parameter; None where nothing tells.
        adapted: Layers of a LoRA adapter.
        findings: What is wrong.
        notes: What is worth knowing.
    """

    file: Path
    tensors: list[Figures] = field(default_factory=list)
    changes: dict[str, Change] = field(default_factory=dict)
    parameters: Mapping[str, bool] | None = None
    adapted: list[Adapted] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, names: Collection[str], text: str) -> None:
        """Add a finding about some tensors, if there are any; `{}` in the text is their number."""
        if names:
            self.findings.append(f"{text.format(len(names))}: {first_names(names)}")

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        tensors = []
        for figures in self.tensors:
            entry = figures.to_dict()
            if self.parameters is not None:
                entry["trainable"] = self.parameters.get(figures.name)
            if change := self.changes.get(figures.name):
                entry["change"] = vars(change)
            tensors.append(entry)
        return {
            "file": str(self.file),
            "tensors": tensors,
            "adapted": [vars(layer) for layer in self.adapted],
            "findings": self.findings,
            "notes": self.notes,
        }


def diagnose(
    path: Path, initial: Path | None = None, adapter: Path | None = None, *, progress: bool = True
) -> Diagnosis:
    """Look at every tensor, one at a time.

    Args:
        path: The checkpoint; see `stored_weights`.
        initial: The checkpoint before the training. An adapter's is its base, if that is on this machine.
        adapter: An adapter that should have been merged into `path`; `initial` is then its base.
        progress: Show a bar.

    Raises:
        ZooError: There are no weights, a file is incomplete, or the options do not fit the checkpoint.
    """
    stored = stored_weights(path)
    found = Diagnosis(stored.file)
    _look(found, stored, progress)
    if stored.adapter is not None:
        _look_at_adapter(found, stored, initial)
    elif adapter is not None:
        _look_at_merge(found, stored, stored_weights(adapter), initial)
    elif initial is not None:
        _look_at_changes(found, stored, stored_weights(initial), progress)
    if stored.folder is not None and is_policy(stored.folder):
        _look_at_statistics(found, stored.folder)
    optimizer = stored.file.resolve().parent.parent / _OPTIMIZER
    if optimizer.is_file():
        _look_at_optimizer(found, Stored(optimizer, None, {}, None))
    return found


def _look(found: Diagnosis, stored: Stored, progress: bool) -> None:
    with stored.open() as file:
        for name in _bar(_float_names(file), "weights", progress):
            found.tensors.append(figures_of(name, file.get_tensor(name)))
    for figures in found.tensors:
        if figures.non_finite:
            count = f"{figures.non_finite:,} of {figures.size:,} values"
            found.findings.append(f"{figures.name}: {count} are not finite")
    # LoRA's B begins as zeros, and averages repeat their tensors: other findings tell of them.
    dead = [
        f for f in found.tensors if f.is_dead and not f.name.startswith(_AVERAGE) and "lora_" not in f.name
    ]
    matrices = [figures for figures in dead if len(figures.shape) > 1]
    zeros = [figures.name for figures in matrices if figures.lowest == 0]
    kept = frozen_at_zero(stored) if zeros else set()
    if idle := [name for name in zeros if name in kept]:
        found.notes.append(
            f"{len(idle)} matrices are zero as they began, frozen by the configuration: {first_names(idle)}"
        )
    found.find([name for name in zeros if name not in kept], "{} matrices are zero, as if never trained")
    found.find([f.name for f in matrices if f.lowest != 0], "{} matrices hold one value only")
    if vectors := [figures.name for figures in dead if len(figures.shape) <= 1]:
        found.notes.append(f"{len(vectors)} vectors hold one value, as new ones do: {first_names(vectors)}")


def _look_at_changes(found: Diagnosis, stored: Stored, initial: Stored, progress: bool) -> None:
    """Every tensor against the checkpoint before the training."""
    names = {figures.name for figures in found.tensors if not figures.name.startswith(_AVERAGE)}
    with stored.open() as after, initial.open() as before:
        known = {name for name in _float_names(before) if not name.startswith(_AVERAGE)}
        found.find(known - names, f"{{}} tensors of {initial.file} are missing")
        found.find(names - known, f"{{}} tensors are not in {initial.file}")
        reshaped = []
        for name in _bar(sorted(names & known), "changes", progress):
            old, new = before.get_tensor(name), after.get_tensor(name)
            if old.shape != new.shape:
                reshaped.append(f"{name} {tuple(old.shape)} -> {tuple(new.shape)}")
                continue
            found.changes[name] = change_of(old, new)
        found.find(reshaped, "{} tensors have another shape")
    moved = {name for name, change in found.changes.items() if not change.equal}
    if not moved:
        found.find(found.changes, f"nothing was trained: {{}} tensors are those of {initial.file}")
        return
    found.parameters = trained_parameters(stored)
    if found.parameters is None:
        found.notes.append(f"{len(moved)} of {len(found.changes)} tensors changed")
        return
    trained = {name for name in found.changes if found.parameters.get(name) is True}
    frozen = {name for name in found.changes if found.parameters.get(name) is False}
    found.find(trained - moved, "{} tensors should have been trained and did not change")
    found.find(frozen & moved, "{} tensors are frozen and changed")
    found.notes.append(
        f"{len(trained & moved)} of {len(trained)} trained tensors changed, "
        f"{len(frozen - moved)} of {len(frozen)} frozen ones stayed"
    )


def _look_at_adapter(found: Diagnosis, stored: Stored, initial: Path | None) -> None:
    base = initial or stored.base
    there = base is not None and base.exists()
    if not there:
        found.notes.append(f"the base {base} is not on this machine, so its layers are not compared")
    found.adapted = adapted_layers(stored, stored_weights(base) if base is not None and there else None)
    if not found.adapted:
        found.findings.append("the adapter has no LoRA layers")
    idle = [layer.name for layer in found.adapted if layer.norm == 0]
    found.find(idle, "{} adapted layers add nothing, as if never trained")
    lost = [layer.name for layer in found.adapted if there and layer.relative is None]
    found.find(lost, "{} adapted layers are not in the base")


def _look_at_merge(found: Diagnosis, stored: Stored, adapter: Stored, initial: Path | None) -> None:
    base = initial or adapter.base
    if adapter.adapter is None or base is None:
        raise ZooError(
            f"{adapter.file} is no LoRA adapter",
            expected="a folder with adapter_model.safetensors and adapter_config.json",
            do="give the adapter that was merged",
        )
    found.adapted = adapted_layers(adapter, stored_weights(base))
    wrong = merged_differences(stored, adapter, stored_weights(base))
    found.find(wrong, "{} layers are not base plus adapter")
    if not wrong:
        found.notes.append(f"{len(found.adapted)} layers are base plus adapter, to within rounding")


def _look_at_statistics(found: Diagnosis, folder: Path) -> None:
    """What the policy normalises with; a new policy has none."""
    try:
        described = policy_statistics(folder)
    except ZooError as error:
        found.notes.append(error.what)
        return
    for feature, stats in described.stats.items():
        bad = [name for name, value in stats.items() if not np.isfinite(value).all()]
        found.find(bad, f"{{}} statistics of {feature} in the processors are not finite")
        crossed = [
            f"{low} above {high}"
            for low, high in (("min", "max"), ("q01", "q99"))
            if low in stats and high in stats and (stats[low] > stats[high]).any()
        ]
        found.find(crossed, f"{{}} statistics of {feature} in the processors contradict themselves")
    found.notes += [f"statistics: {remark.kind}: {remark}" for remark in remarks(described)]


def _look_at_optimizer(found: Diagnosis, optimizer: Stored) -> None:
    with optimizer.open() as file:
        bad = [n for n in _float_names(file) if figures_of(n, file.get_tensor(n)).non_finite]
    found.find(bad, "{} moments of the optimizer are not finite")


def _float_names(file: Any) -> list[str]:
    return [name for name in sorted(file.keys()) if file.get_slice(name).get_dtype() in _FLOATS]


def _bar(names: Iterable[str], what: str, progress: bool) -> Iterable[str]:
    return tqdm(list(names), desc=what, unit="tensor", leave=False, disable=not progress)
