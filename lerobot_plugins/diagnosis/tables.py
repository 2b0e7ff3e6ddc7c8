"""A diagnosis of weights as text."""

import math
from collections.abc import Sequence
from statistics import median

from lerobot_plugins.diagnosis.figures import Figures
from lerobot_plugins.diagnosis.weights import Diagnosis
from lerobot_plugins.statistics.tables import aligned

#: So many parts of a name make a module: `model.vision_tower.encoder`.
_DEPTH = 3


def weights_table(found: Diagnosis, *, by_tensor: bool = False) -> str:
    """A line for each module, or each tensor; of an adapter also its layers, gathered by their last name."""
    groups: dict[str, list[Figures]] = {}
    for figures in found.tensors:
        groups.setdefault(figures.name if by_tensor else _module(figures.name), []).append(figures)
    head = ["tensor" if by_tensor else "module", "dtype", "tensors", "values", "norm", "zeros", "one value"]
    rows = [_row(name, members) for name, members in groups.items()]
    if found.changes:
        head += ["changed", "by"]
        rows = [row + _changes(groups[row[0]], found) for row in rows]
    lines = list(aligned([head, *rows], texts=2))
    if found.adapted:
        lines += aligned(
            [["adapted layers", "count", "rank", "norm", "of the base"], *_adapted(found)], texts=1
        )
    return "\n".join(lines)


def _module(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[: min(_DEPTH, max(len(parts) - 1, 1))])


def _row(name: str, members: Sequence[Figures]) -> list[str]:
    values = sum(figures.size for figures in members)
    norm = math.sqrt(sum(figures.norm**2 for figures in members))
    zeros = sum(figures.zeros for figures in members)
    dead = sum(figures.is_dead for figures in members)
    dtypes = ", ".join(sorted({figures.dtype for figures in members}))
    return [
        name,
        dtypes,
        str(len(members)),
        f"{values:,}",
        f"{norm:.5g}",
        f"{zeros / max(values, 1):.1%}",
        str(dead or ""),
    ]


def _changes(members: Sequence[Figures], found: Diagnosis) -> list[str]:
    """How many changed, and how far together, by the norm that they had."""
    changes = [found.changes[figures.name] for figures in members if figures.name in found.changes]
    if not changes:
        return ["", ""]
    moved = sum(not change.equal for change in changes)
    distance = math.sqrt(sum(change.distance**2 for change in changes))
    before = math.sqrt(sum(change.before**2 for change in changes))
    share = "" if not moved else f"{distance / before:.2%}" if before else "from zero"
    return [f"{moved} of {len(changes)}", share]


def _adapted(found: Diagnosis) -> list[list[str]]:
    groups: dict[str, list[int]] = {}
    for place, layer in enumerate(found.adapted):
        groups.setdefault(layer.name.rpartition(".")[2], []).append(place)
    rows = []
    for name, places in groups.items():
        layers = [found.adapted[place] for place in places]
        shares = [layer.relative for layer in layers if layer.relative is not None]
        ranks = sorted({layer.rank for layer in layers})
        rows.append(
            [
                name,
                str(len(layers)),
                ", ".join(map(str, ranks)),
                f"{median(layer.norm for layer in layers):.3g}",
                f"{min(shares):.2%} to {max(shares):.2%}" if shares else "",
            ]
        )
    return rows
