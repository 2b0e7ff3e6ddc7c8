"""Figures of stored tensors, a piece at a time: a tensor larger than memory allows is never widened whole.

N the values of a tensor.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

_VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Figures:
    """One tensor in numbers, summed in float64; extremes, mean and deviation of its finite values.

    Args:
        name: Its name in the file.
        shape: Its shape.
        dtype: Its dtype, as torch calls it.
        norm: Root of the sum of squares.
        mean: Mean.
        std: Standard deviation.
        lowest: Smallest value.
        highest: Largest value.
        zeros: How many values are exactly zero.
        non_finite: How many are NaN or infinite.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    norm: float
    mean: float
    std: float
    lowest: float
    highest: float
    zeros: int
    non_finite: int

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_dead(self) -> bool:
        """Whether all values are the same, as nothing that was trained has them."""
        return self.size > 1 and not self.non_finite and self.lowest == self.highest

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Change:
    """How far a tensor is from what it was before the training.

    Args:
        equal: Bit for bit the same, in the dtype of the later one.
        distance: Norm of the difference.
        before: Norm before.
    """

    equal: bool
    distance: float
    before: float


def figures_of(name: str, tensor: Tensor) -> Figures:
    """The figures of a tensor of floats or numbers."""
    flat_N = tensor.reshape(-1)
    total, squares, zeros, non_finite = 0.0, 0.0, 0, 0
    lowest, highest = math.inf, -math.inf
    for piece in flat_N.split(_VALUES_AT_ONCE):
        wide = piece.double()
        finite = wide[torch.isfinite(wide)]
        non_finite += len(wide) - len(finite)
        zeros += int((finite == 0).sum())
        if len(finite):
            total += float(finite.sum())
            squares += float(finite.square().sum())
            lowest = min(lowest, float(finite.min()))
            highest = max(highest, float(finite.max()))
    count = max(len(flat_N) - non_finite, 1)
    mean = total / count
    deviations = sum(
        float((finite - mean).square().sum())
        for piece in flat_N.split(_VALUES_AT_ONCE)
        if len(finite := piece.double()[torch.isfinite(piece)])
    )
    return Figures(
        name,
        tuple(tensor.shape),
        str(tensor.dtype).removeprefix("torch."),
        math.sqrt(squares),
        mean,
        math.sqrt(deviations / count),
        lowest if lowest <= highest else math.nan,
        highest if lowest <= highest else math.nan,
        zeros,
        non_finite,
    )


def change_of(before: Tensor, after: Tensor) -> Change:
    """How far `after` is from `before`, which has the same shape; another dtype alone is no change."""
    distance, norm, equal = 0.0, 0.0, True
    pieces = zip(
        before.reshape(-1).split(_VALUES_AT_ONCE), after.reshape(-1).split(_VALUES_AT_ONCE), strict=True
    )
    for old, new in pieces:
        # Frozen weights are stored in bfloat16 also where the base had them in float32.
        old = old.to(new.dtype)
        equal = equal and torch.equal(old, new)
        distance += float((new.double() - old.double()).square().sum())
        norm += float(old.double().square().sum())
    return Change(equal, math.sqrt(distance), math.sqrt(norm))
