"""What a fresh policy starts from: weights of pi0.5 as LeRobot, openpi's PyTorch or this type store them."""

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from lerobot_plugins.checkpoints import pi05_names
from lerobot_plugins.checkpoints.load_report import LoadReport, load_weights
from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.paligemma import SCRATCH
from lerobot_plugins.policy.base import weights_file
from lerobot_policy_pi05_comet.configuration_pi05_comet import PI05CometConfig

logger = logging.getLogger(__name__)

PRETRAINED = {"paligemma_3b": "lerobot/pi05_base", "tiny": SCRATCH}

# Tensor -> the dimension that max_action_dim widens, and whether the added part starts at zero: new inputs
# then disturb nothing, and new outputs start like any untrained layer.
WIDENED = {
    "model.action_in_proj.weight": (1, True),
    "model.action_out_proj.weight": (0, False),
    "model.action_out_proj.bias": (0, True),
}


def pretrained_source(config: PI05CometConfig) -> str | None:
    """Hub id or folder of the initial weights; None for random ones."""
    source = config.init_from or PRETRAINED[config.paligemma_variant]
    return None if source == SCRATCH else source


def load_pretrained(policy: Any, source: str) -> LoadReport:
    """Load initial weights strictly, widening the action projections where the configuration asks for it.

    Raises:
        ZooError: The source cannot be read, or a tensor is missing, unexpected, mis-shaped or not finite.
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
    report = load_weights(
        policy, path, rename=pi05_names.rename, ties=pi05_names.TIES, untied=pi05_names.UNTIED
    )
    widened = _widen(policy, path, report)
    report.require_complete(str(path))
    own = len(policy.state_dict())
    logger.info(
        "%d of %d tensors loaded from %s (%d under a second name, %d changed in dtype, %d of the file not "
        "part of this network)%s",
        own - len(widened),
        own,
        path,
        len(report.tied),
        len(report.converted),
        len(report.set_aside),
        f"; widened, new in part: {'; '.join(widened)}" if widened else "",
    )
    return report


def _widen(policy: Any, path: Path, report: LoadReport) -> list[str]:
    """Fill wider action projections: the stored part as stored, the added part new. Returns what is new."""
    parameters = dict(policy.named_parameters())
    widened = []
    with safe_open(path, framework="pt") as file, torch.no_grad():
        stored_names = {pi05_names.rename(name): name for name in file.keys()}  # noqa: SIM118
        for name, (dim, start_at_zero) in WIDENED.items():
            entry = next((text for text in report.mis_shaped if text.startswith(f"{name} ")), None)
            if entry is None:
                continue
            stored, own = file.get_tensor(stored_names[name]), parameters[name]
            if stored.ndim != own.ndim or stored.shape[dim] >= own.shape[dim]:
                continue
            if start_at_zero:
                own.zero_()
            else:
                torch.nn.init.kaiming_uniform_(own, a=5**0.5)
            own.narrow(dim, 0, stored.shape[dim]).copy_(stored)
            report.mis_shaped.remove(entry)
            widened.append(f"{name} beyond {stored.shape[dim]} of {own.shape[dim]}")
    return widened
