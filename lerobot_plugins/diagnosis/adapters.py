"""LoRA adapters: how much each layer adds to its base, and whether a merged policy is their sum.

R rank, I inputs, O outputs of a linear layer.
"""

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lerobot_plugins.diagnosis.stored import Stored

_A, _B = ".lora_A.weight", ".lora_B.weight"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Adapted:
    """One adapted layer.

    Args:
        name: The layer in the base.
        rank: Its rank.
        scale: What the product is multiplied by.
        norm: Norm of what is added to the base's weight.
        relative: That by the norm of the base's weight; None where the base is not known.
    """

    name: str
    rank: int
    scale: float
    norm: float
    relative: float | None


def adapted_layers(adapter: Stored, base: Stored | None) -> list[Adapted]:
    """Every adapted linear layer of an adapter, in order of names."""
    found = []
    with ExitStack() as stack:
        file = stack.enter_context(adapter.open())
        weights = stack.enter_context(base.open()) if base else None
        known = set(weights.keys()) if weights else set()
        for name, a_RI, b_OR in _pairs(file):
            scale = _scale(adapter.adapter or {}, name, a_RI.shape[0])
            norm = scale * _product_norm(a_RI, b_OR)
            relative = None
            if weights and f"{name}.weight" in known:
                whole = float(torch.linalg.vector_norm(weights.get_tensor(f"{name}.weight").float()))
                relative = norm / whole if whole else math.inf
            found.append(Adapted(name, a_RI.shape[0], scale, norm, relative))
    return found


def merged_differences(merged: Stored, adapter: Stored, base: Stored) -> list[str]:
    """Layers of a merged policy that are not base plus adapter, to within the rounding of their dtype."""
    wrong = []
    with adapter.open() as file, base.open() as before, merged.open() as after:
        stored = set(after.keys()) & set(before.keys())
        for name, a_RI, b_OR in _pairs(file):
            key = f"{name}.weight"
            if key not in stored:
                wrong.append(name)
                continue
            weight_OI, found_OI = before.get_tensor(key), after.get_tensor(key)
            scale = _scale(adapter.adapter or {}, name, a_RI.shape[0])
            expected_OI = weight_OI.double() + scale * (b_OR.double() @ a_RI.double())
            if found_OI.shape != expected_OI.shape:
                wrong.append(name)
                continue
            step = max(torch.finfo(dtype).eps for dtype in (weight_OI.dtype, found_OI.dtype))
            allowed = 2 * step * float(expected_OI.abs().max())
            if not bool(((found_OI.double() - expected_OI).abs() <= allowed).all()):
                wrong.append(name)
    return wrong


def _pairs(file: Any) -> Iterator[tuple[str, Tensor, Tensor]]:
    names = set(file.keys())
    for key in sorted(name for name in names if name.endswith(_A)):
        stem = key.removesuffix(_A)
        if stem + _B in names:
            yield stem.removeprefix(_PREFIX), file.get_tensor(key), file.get_tensor(stem + _B)


def _scale(config: dict[str, Any], name: str, rank: int) -> float:
    """What PEFT multiplies the product with: alpha / r, or alpha / sqrt(r) for rank-stabilised adapters."""
    alpha = config.get("lora_alpha", rank)
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", name):
            alpha = value
            break
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _product_norm(a_RI: Tensor, b_OR: Tensor) -> float:
    """Norm of B A without forming it: the trace of (A A^T)(B^T B)."""
    a, b = a_RI.double(), b_OR.double()
    return math.sqrt(max(float(((a @ a.T) * (b.T @ b)).sum()), 0.0))
