"""What a fresh policy of pi0.5's family starts from: weights of LeRobot, of openpi's PyTorch, or of the zoo.

Every tensor of the policy is in the file, or is named here as new; what is new is in the log.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from lerobot_plugins.checkpoints import pi05_names
from lerobot_plugins.checkpoints.load_report import LoadReport, load_weights
from lerobot_plugins.checkpoints.stored_files import weights_file
from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.paligemma import SCRATCH

logger = logging.getLogger(__name__)

PRETRAINED = {"paligemma_3b": "lerobot/pi05_base", "tiny": SCRATCH}

_FITTING = (
    "give --policy.init_from weights of pi0.5, and where shapes differ the geometry that they have "
    "(--policy.paligemma_variant, --policy.action_expert_variant)"
)

# Tensor -> the dimension that grows, and whether the added part starts at zero: new inputs then disturb
# nothing, and new outputs start like any untrained layer.
WIDENED = {
    "model.action_in_proj.weight": (1, True),
    "model.action_out_proj.weight": (0, False),
    "model.action_out_proj.bias": (0, True),
}


@dataclass(frozen=True)
class Changes:
    """How a network differs from pi0.5's.

    Args:
        new: Beginnings of the names of parameters that pi0.5 does not have; they keep their initial values
            where the file lacks them.
        widened: Tensors that may be larger than stored, see `WIDENED`.
        elsewhere: Beginnings of the names of parameters that another file fills.
        rename: Stored name -> name here, None for what is not part of the network.
    """

    new: Sequence[str] = ()
    widened: Mapping[str, tuple[int, bool]] = field(default_factory=lambda: WIDENED)
    elsewhere: Sequence[str] = ()
    rename: Callable[[str], str | None] = pi05_names.rename


def pretrained_source(config: Any) -> str | None:
    """Hub id or folder of the initial weights; None for random ones."""
    source = config.init_from or PRETRAINED[config.paligemma_variant]
    return None if source == SCRATCH else source


def source_file(source: str) -> Path:
    """The weights of a hub id or folder.

    Raises:
        ZooError: It cannot be had.
    """
    path = weights_file(source, {})
    if not path.is_file():
        raise ZooError(
            "init_from names a folder without weights",
            got=f"no {path.name} in {source}",
            expected="pi0.5 as LeRobot's `pi05`, openpi's PyTorch or this policy type stores it",
            do="of an openpi JAX checkpoint make a policy first: lerobot-plugins checkpoint import-openpi "
            f"{source} --output POLICY, then train with --policy.path=POLICY",
        )
    return path


def load_pretrained(policy: nn.Module, source: str, changes: Changes | None = None) -> LoadReport:
    """Load initial weights strictly, but for what is new or wider here.

    Raises:
        ZooError: The source cannot be read, or a tensor is missing, unexpected, mis-shaped or not finite.
    """
    changes = changes or Changes()
    path = source_file(source)
    report = load_weights(policy, path, rename=changes.rename, ties=pi05_names.TIES, untied=pi05_names.UNTIED)
    widened = _widen(policy, path, report, changes)
    absent = [name for name in report.missing if name.startswith(tuple(changes.new))]
    filled = (*absent, *(name for name in report.missing if name.startswith(tuple(changes.elsewhere))))
    report.missing = [name for name in report.missing if name not in filled]
    report.require_complete(str(path), do=_FITTING)
    logger.info("%s", describe(report, path, absent, widened))
    return report


def describe(report: LoadReport, path: Path, new: Sequence[str], widened: Sequence[str]) -> str:
    """One line about what became of the tensors of a file."""
    with safe_open(path, framework="pt") as file:
        stored = len(list(file.keys()))
    aside = len(report.set_aside)
    text = (
        f"{stored - aside} of {stored} tensors of {path} loaded ({len(report.tied)} under a second name, "
        f"{len(report.converted)} changed in dtype, {aside} not part of this network)"
    )
    if new:
        counts: dict[str, int] = {}
        for name in new:
            owner = re.sub(r"^model\.", "", name).rpartition(".")[0]
            counts[owner] = counts.get(owner, 0) + 1
        text += "; new: " + ", ".join(f"{owner} ({count})" for owner, count in counts.items())
    return text + (f"; widened, new in part: {'; '.join(widened)}" if widened else "")


def _widen(policy: nn.Module, path: Path, report: LoadReport, changes: Changes) -> list[str]:
    """Fill wider tensors: the stored part as stored, the added part new. Returns what is new."""
    parameters = dict(policy.named_parameters())
    widened = []
    with safe_open(path, framework="pt") as file, torch.no_grad():
        stored_names = {changes.rename(name): name for name in file.keys()}  # noqa: SIM118
        for name, (dim, start_at_zero) in changes.widened.items():
            entry = next((text for text in report.mis_shaped if text.startswith(f"{name} ")), None)
            if entry is None:
                continue
            stored, own = file.get_tensor(stored_names[name]), parameters[name]
            if stored.ndim != own.ndim or stored.shape[dim] >= own.shape[dim]:
                continue
            if start_at_zero:
                own.zero_()
            else:
                nn.init.kaiming_uniform_(own, a=5**0.5)
            own.narrow(dim, 0, stored.shape[dim]).copy_(stored)
            report.mis_shaped.remove(entry)
            widened.append(f"{name} beyond {stored.shape[dim]} of {own.shape[dim]}")
    return widened
