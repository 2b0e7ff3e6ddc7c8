"""What is in a checkpoint of any kind, and what is wrong with it, without loading weights into memory."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lerobot_plugins.checkpoints.openpi_assets import asset_ids
from lerobot_plugins.checkpoints.orbax import TEMPORARY, looks_like_orbax, open_tree, uncommitted_reason
from lerobot_plugins.checkpoints.policy_folder import ADAPTER, CONFIG, EMA, PROCESSORS, WEIGHTS
from lerobot_plugins.checkpoints.safetensors_stream import CODES, open_weights
from lerobot_plugins.errors import ZooError

DTYPE_NAMES = {code: str(dtype).removeprefix("torch.") for dtype, code in CODES.items()}
OPTIMIZER, STEP = "optimizer_state.safetensors", "training_step.json"
# What resuming a run reads; a save that was cut short lacks the later ones.
TRAINING_STATE = (STEP, "rng_state.safetensors", OPTIMIZER, "optimizer_param_groups.json")


@dataclass(frozen=True)
class Tensor:
    """Name, shape and dtype of one stored tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass
class Inspection:
    """One folder: what kind it is, its tensors, facts worth knowing, findings, and the folders in it."""

    path: Path
    kind: str
    tensors: list[Tensor] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    parts: list["Inspection"] = field(default_factory=list)

    def all_findings(self) -> list[str]:
        """Findings of this folder and of those in it, each with its path."""
        own = [f"{self.path}: {finding}" for finding in self.findings]
        return own + [finding for part in self.parts for finding in part.all_findings()]

    def totals(self) -> dict[str, int]:
        """Number of values by dtype."""
        counted: Counter[str] = Counter()
        for tensor in self.tensors:
            counted[tensor.dtype] += tensor.size
        return dict(sorted(counted.items()))

    def collapsed(self) -> list[tuple[str, int, tuple[int, ...], str]]:
        """Name, count, shape and dtype of the tensors; those of all layers as one with `*` for the number."""
        counted: Counter[tuple[str, tuple[int, ...], str]] = Counter()
        for tensor in self.tensors:
            counted[(re.sub(r"(?<=\.)\d+(?=\.)", "*", tensor.name), tensor.shape, tensor.dtype)] += 1
        return [(name, count, shape, dtype) for (name, shape, dtype), count in counted.items()]

    def to_json(self) -> dict[str, Any]:
        """A plain dict of everything."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "facts": self.facts,
            "findings": self.findings,
            "values": self.totals(),
            "tensors": [
                {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}
                for tensor in self.tensors
            ],
            "parts": [part.to_json() for part in self.parts],
        }


def inspect(path: Path) -> Inspection:
    """Inspect a policy folder, a checkpoint, an Orbax directory, or a run that holds some of them.

    Raises:
        ZooError: There is nothing of the kind.
    """
    found = _inspect(path)
    if found is None:
        raise ZooError(
            f"there is no checkpoint in {path}",
            got=", ".join(sorted(child.name for child in path.iterdir())[:8])
            if path.is_dir()
            else "no folder",
            expected="a policy folder, a checkpoint of lerobot-train, an openpi checkpoint, or a run of them",
        )
    return found


def _inspect(path: Path) -> Inspection | None:
    if not path.is_dir():
        return None
    kinds: list[tuple[Callable[[Path], bool], Callable[[Path], Inspection]]] = [
        (looks_like_orbax, _orbax),
        (lambda folder: any((folder / name).is_file() for name in (WEIGHTS, ADAPTER, CONFIG)), _policy),
        (lambda folder: (folder / "pretrained_model").is_dir(), _training),
        (lambda folder: any(folder.glob("params*")) or (folder / "train_state").is_dir(), _jax),
    ]
    for fits, look in kinds:
        if fits(path):
            return look(path)
    return _run(path)


def _add_tensors(found: Inspection, read: Callable[[], list[Tensor]]) -> None:
    try:
        found.tensors = read()
    except ZooError as error:
        found.findings.append(f"{error.what}: {error.got}" if error.got else error.what)
    lora = [tensor.name for tensor in found.tensors if "lora_" in tensor.name]
    if lora:
        found.facts["LoRA tensors"] = len(lora)
    averages = [tensor.name for tensor in found.tensors if tensor.name.startswith((EMA, "ema_params/"))]
    if averages:
        found.facts["EMA tensors"] = len(averages)


def _safetensors(path: Path) -> list[Tensor]:
    with open_weights(path) as file:
        names = sorted(file.keys())
        slices = {name: file.get_slice(name) for name in names}
        return [
            Tensor(name, tuple(part.get_shape()), DTYPE_NAMES.get(part.get_dtype(), part.get_dtype()))
            for name, part in slices.items()
        ]


def _policy(path: Path) -> Inspection:
    """A LeRobot policy folder, whole or adapter, or an openpi PyTorch folder."""
    config = _read_json(path / CONFIG)
    found = Inspection(path, "openpi PyTorch checkpoint")
    if (path / CONFIG).is_file() and config is None:
        found.findings.append(f"{CONFIG} is no JSON")
    elif config is not None and "type" in config:
        found.kind = f"LeRobot policy, type {config['type']}"
        kinds = {match[1] for file in path.iterdir() if (match := PROCESSORS.fullmatch(file.name))}
        found.facts["processors"] = ", ".join(f"{kind}processor" for kind in sorted(kinds)) or "none"
        found.facts["statistics"] = _statistics(path)
    if (path / "optimizer.pt").is_file():
        found.facts["optimizer state"] = "optimizer.pt"
    if (path / ADAPTER).is_file():
        found.kind += " (adapter)"
        found.facts["base"] = (_read_json(path / "adapter_config.json") or {}).get("base_model_name_or_path")
        _add_tensors(found, lambda: _safetensors(path / ADAPTER))
    else:
        _add_tensors(found, lambda: _safetensors(path / WEIGHTS))
    _add_assets(found, path / "assets")
    return found


def _training(path: Path) -> Inspection:
    """A checkpoint of lerobot-train: policy and training state."""
    state = path / "training_state"
    found = Inspection(path, "LeRobot training checkpoint", parts=[_policy(path / "pretrained_model")])
    found.facts["step"] = (_read_json(state / STEP) or {}).get("step")
    absent = [name for name in TRAINING_STATE if not (state / name).is_file()]
    if absent:
        found.findings.append(f"the save did not finish: training_state lacks {', '.join(absent)}")
    if (state / OPTIMIZER).is_file():
        optimizer = Inspection(state, "optimizer state")
        _add_tensors(optimizer, lambda: _safetensors(state / OPTIMIZER))
        found.parts.append(optimizer)
    return found


def _jax(path: Path) -> Inspection:
    """A step of openpi's JAX training: parameters, training state, statistics."""
    trees = [child for child in sorted(path.iterdir()) if child.is_dir() and looks_like_orbax(child)]
    found = Inspection(path, "openpi JAX checkpoint", parts=[_orbax(tree) for tree in trees])
    names = {
        tensor.name for part in found.parts for tensor in part.tensors if part.path.name == "train_state"
    }
    if any(name.startswith("opt_state/") for name in names):
        found.facts["optimizer state"] = "in train_state"
    # openpi saves the averages as `params` and moves the raw weights into the training state.
    if any(name.startswith("params/") for name in names):
        found.facts["EMA"] = "params holds the averaged weights, train_state/params the raw ones"
    if not (path / "params").is_dir():
        found.findings.append("params is missing: there are no weights to use")
    _add_assets(found, path / "assets")
    return found


def _orbax(path: Path) -> Inspection:
    """One tree saved by Orbax."""
    committed = uncommitted_reason(path) is None
    found = Inspection(path, "Orbax tree", facts={"committed": "yes" if committed else "no"})

    def read() -> list[Tensor]:
        return [Tensor(leaf.name, leaf.shape, leaf.dtype) for leaf in open_tree(path).values()]

    _add_tensors(found, read)
    return found


def _run(path: Path) -> Inspection | None:
    """A folder with checkpoints in it: of lerobot-train under checkpoints/, of openpi under their numbers."""
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    steps = [
        child
        for child in sorted(folder.iterdir(), key=lambda child: (len(child.name), child.name))
        if re.match(rf"\d+$|.*{re.escape(TEMPORARY)}", child.name) and child.is_dir()
    ]
    parts = [found for step in steps if (found := _inspect(step)) is not None]
    empty = [step.name for step in steps if not any(step.iterdir())]
    last = folder / "last"
    if not parts and not empty:
        return None
    run = Inspection(folder, "run", facts={"checkpoints": len(parts)}, parts=parts)
    run.findings += [f"{name} is empty" for name in empty]
    if last.is_symlink():
        run.facts["last"] = str(last.readlink())
        if not last.exists():
            run.findings.append("the link `last` leads nowhere")
    return run


def _add_assets(found: Inspection, assets: Path) -> None:
    if "openpi" in found.kind:
        found.facts["statistics"] = ", ".join(asset_ids(assets)) or "none"


def _statistics(policy: Path) -> str:
    """Whose statistics a policy normalises with: its own step's data set and hash, else LeRobot's step."""
    steps = (_read_json(policy / "policy_preprocessor.json") or {}).get("steps", [])
    for step in steps:
        config = step.get("config", {})
        if config.get("stats_hash"):
            modes = ", ".join(f"{key} {mode}" for key, mode in config.get("modes", {}).items())
            return f"{modes}, of {config.get('dataset') or 'an unnamed dataset'}, {config['stats_hash'][:12]}"
    if any(step.get("registry_name") == "normalizer_processor" and step.get("state_file") for step in steps):
        return "in LeRobot's normalizer_processor"
    return "none"


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
