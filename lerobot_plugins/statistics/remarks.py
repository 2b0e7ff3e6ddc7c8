"""What statistics give away about the numbers: some never change, some are far from all others."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lerobot_plugins.statistics.described import Described

#: Of the largest magnitude of a dimension, at least 1: less is no change.
CONSTANT_TOLERANCE = 1e-6
#: Quantiles closer than this say nothing about the scale of a dimension.
NARROW = 1e-4
#: In widths of the middle 98 %: an extreme as far beyond them is an outlier.
FAR = 3.0

#: What policies normalise.
_NORMALISED = ("observation", "action")

CONSTANT, RARE, OUTLIER = "constant", "rarely changes", "outlier"


@dataclass(frozen=True)
class Remark:
    """One dimension that normalisation has trouble with.

    Args:
        kind: `constant`, `rarely changes` or `outlier`.
        feature: The feature.
        dimension: Its place.
        name: What it is called.
        text: What was found.
    """

    kind: str
    feature: str
    dimension: int
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.feature} {self.name}: {self.text}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def remarks(described: Described) -> list[Remark]:
    """Dimensions that never change, that change in less than 1 % of the frames, or that have outliers.

    Features without all of min, max, q01 and q99, cameras, and what nobody normalises are left out.
    """
    found: list[Remark] = []
    for feature, stats in described.stats.items():
        if not feature.startswith(_NORMALISED) or not {"min", "max", "q01", "q99"} <= stats.keys():
            continue
        if stats["min"].ndim > 1:
            continue
        for dimension, (kind, text) in _of_feature(stats):
            name = described.named(feature, dimension)
            found.append(Remark(kind, feature, dimension, name, text))
    return found


def _of_feature(stats: dict[str, np.ndarray]) -> Iterator[tuple[int, tuple[str, str]]]:
    for dimension in range(len(stats["min"])):
        low, high, q01, q99 = (float(stats[name][dimension]) for name in ("min", "max", "q01", "q99"))
        if high - low <= CONSTANT_TOLERANCE * max(1.0, abs(high)):
            yield dimension, (CONSTANT, f"{low:g} in every frame")
        elif q99 - q01 <= NARROW < high - low:
            yield (
                dimension,
                (RARE, f"{q01:g} in 98 % of the frames, {low:g} to {high:g} in all: quantiles give no scale"),
            )
        elif q99 > q01 and (worst := max(high - q99, q01 - low) / (q99 - q01)) > FAR:
            extreme = high if high - q99 >= q01 - low else low
            yield (
                dimension,
                (
                    OUTLIER,
                    f"{extreme:g} lies {worst:.1f} times the width of the middle 98 % ({q01:g} to {q99:g}) "
                    "beyond it",
                ),
            )
