"""Exponential moving average of a policy's weights: openpi trains raw weights and evaluates their average.

The average is state of the policy, so that it is saved, resumed and moved with it. It costs memory: four
bytes for each trained weight, 14 GB for all of pi0.5, on the training device and in every checkpoint;
`lerobot-plugins checkpoint export --ema` makes a plain policy of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lerobot_plugins.checkpoints.load_report import LoadReport
from lerobot_plugins.errors import ZooError, first_names

PREFIX = "ema."


class WeightAverage(nn.Module):
    """The average of every trainable parameter, as float32 buffers in modules named like the policy's own.

    A policy holds it as `ema`, so that its state-dict keys are `ema.<parameter name>`.

    Args:
        policy: Whose parameters are averaged; their values are the first average. Parameters without memory
            give an average without values, which a checkpoint's are loaded into.
        decay: `average = decay * average + (1 - decay) * weight` after every optimizer step, from the first.
    """

    def __init__(self, policy: nn.Module, decay: float) -> None:
        super().__init__()
        self._advance = get_ema_multi_avg_fn(decay)
        # Owners instead of tensors: loading and moving a module replaces its tensors.
        self._places: list[tuple[nn.Module, nn.Module, str]] = []
        parameters = dict(policy.named_parameters(remove_duplicate=False))
        assert len(set(parameters.values())) == len(parameters), "a shared parameter would keep one raw place"
        for name, parameter in parameters.items():
            if parameter.requires_grad:
                owner, _, leaf = name.rpartition(".")
                own = _submodule(self, owner)
                device = "cpu" if parameter.is_meta else parameter.device
                own.register_buffer(leaf, torch.empty(parameter.shape, dtype=torch.float32, device=device))
                self._places.append((policy.get_submodule(owner), own, leaf))
        if not any(weight.is_meta for weight in self._weights()):
            self.restart()
        self.register_state_dict_pre_hook(_own_memory)

    def restart(self) -> None:
        """Let the average be the weights as they are now."""
        for average, weight in zip(self._averages(), self._weights(), strict=True):
            average.copy_(weight)

    def update(self) -> None:
        """Advance by one optimizer step."""
        self._advance(self._averages(), self._weights(), 0)

    def become_weights(self) -> None:
        """Let the weights be the average, for good."""
        for average, weight in zip(self._averages(), self._weights(), strict=True):
            weight.copy_(average)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the policy computes with the average. Tensors change places and nothing is copied."""
        weights = [owner._parameters[leaf] for owner, _, leaf in self._places]
        for owner, own, leaf in self._places:
            owner._parameters[leaf] = own._buffers[leaf]
        try:
            yield
        finally:
            for (owner, _, leaf), weight in zip(self._places, weights, strict=True):
                owner._parameters[leaf] = weight

    def _averages(self) -> list[Tensor]:
        return [getattr(own, leaf) for _, own, leaf in self._places]

    def _weights(self) -> list[Tensor]:
        return [getattr(owner, leaf).detach() for owner, _, leaf in self._places]


def _submodule(root: nn.Module, name: str) -> nn.Module:
    """The module of a dotted name under a root, made of empty ones where it is missing."""
    for part in name.split(".") if name else ():
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    return root


def _own_memory(ema: Any, _prefix: str, _keep_vars: bool) -> None:
    """Undo views, which safetensors does not save: fused projections make them of what they compute with."""
    for average in ema.buffers():
        if average.untyped_storage().nbytes() > average.nbytes:
            average.data = average.data.clone()


def require_same(ema: WeightAverage | None, report: LoadReport, source: str) -> bool:
    """Compare a policy's average with the one of the checkpoint just loaded.

    Args:
        ema: The policy's; None where it keeps none.
        report: What was loaded; an average that the checkpoint never had is no longer missing afterwards.
        source: The checkpoint, for messages.

    Returns:
        Whether the average has to be started, because the checkpoint has none.

    Raises:
        ZooError: The checkpoint has an average that this policy does not keep, or one of other weights.
    """
    missing = [name for name in report.missing if name.startswith(PREFIX)]
    extra = [name for name in report.unexpected if name.startswith(PREFIX)]
    plain = f"lerobot-plugins checkpoint export {source} --output PLAIN"
    if ema is None and extra:
        raise ZooError(
            f"{source} holds the average of its weights, and this policy keeps none",
            got=f"{len(extra)} tensors ema.*, and ema_decay=null",
            expected="a decay in (0, 1), to continue the average",
            do=f"leave --policy.ema_decay out, or make a plain policy first: `{plain} --ema` of the averaged "
            f"weights, `{plain}` of the raw ones",
        )
    if ema is not None and not extra and len(missing) == len(ema.state_dict()):
        report.missing = [name for name in report.missing if not name.startswith(PREFIX)]
        return True
    if missing or extra:
        raise ZooError(
            f"the average in {source} is one of other weights than those that train here",
            got=f"none of {first_names(missing)}" if missing else f"also of {first_names(extra)}",
            expected="the average of every trained weight and no other",
            do=f"keep the checkpoint's freeze_* options, or start from `{plain} --ema`",
        )
    return False
