"""Numbers that never change."""

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, listed, number, ok, problem, warning
from lerobot_plugins.doctor.dataset.ranges import Ranges

_NAME = "constant"
#: Radians (metres) that count as a movement; a part of the usual range where units are unknown.
_MOVES, _MOVES_OF_RANGE = 0.1, 0.1
_LEAST_FRAMES = 10


def still_findings(
    ranges: Ranges, pairs: list[tuple[Dimension, Dimension]], claimed: set[Dimension]
) -> list[DatasetFinding]:
    """States that rest though their action moves, and actions that rest in a limb that moves, are problems.

    Whatever else is constant is one warning per feature: unused joints are, and a policy must not divide by
    their deviation.
    """
    place = {dimension: i for i, dimension in enumerate(ranges.dimensions)}
    # Float32 numbers of one value are equal to the last bit.
    still_D = ranges.span <= 1e-7 * np.maximum(1, np.abs(ranges.high_D))
    if ranges.frames < _LEAST_FRAMES:
        return []
    findings = []
    for action, state in pairs:
        a, s = place.get(action), place.get(state)
        if a is None or s is None or action in claimed or state in claimed or not _exists(action):
            continue
        if still_D[s] and not still_D[a] and _moves(ranges, a):
            findings.append(_dead(ranges, state, s, action, a, "action"))
            claimed.update((action, state))
        elif still_D[a] and not still_D[s] and _moves(ranges, s) and _limb_moves(ranges, action, still_D):
            findings.append(_dead(ranges, action, a, state, s, "state"))
            claimed.update((action, state))
    for feature in dict.fromkeys(d.feature for d in ranges.dimensions):
        chosen = [
            i
            for i, d in enumerate(ranges.dimensions)
            if d.feature == feature and still_D[i] and d not in claimed and _exists(d)
        ]
        if chosen:
            findings.append(_unused(ranges, feature, chosen))
    return findings or [ok(_NAME, f"all {len(ranges.dimensions)} numbers of state and action change")]


def _dead(
    ranges: Ranges, dimension: Dimension, i: int, other: Dimension, j: int, moving: str
) -> DatasetFinding:
    value = dimension.recorded(float(ranges.low_D[i]))
    return problem(
        _NAME,
        f"{dimension} is {number(value)} in all {ranges.frames} frames, while its {moving} moves by "
        f"{number(float(ranges.span[j] / abs(other.scale)))}",
        "look for a dead sensor, or a column that was never filled in",
        feature=dimension.feature,
        columns=(dimension.name,),
        value=value,
        limit=f"changes with the {moving}",
    )


def _unused(ranges: Ranges, feature: str, chosen: list[int]) -> DatasetFinding:
    dimensions = [ranges.dimensions[i] for i in chosen]
    values = [
        f"{d.name} ({number(d.recorded(float(ranges.low_D[i])))})"
        for i, d in zip(chosen, dimensions, strict=True)
    ]
    return warning(
        _NAME,
        f"{feature} never changes in {listed(values)}",
        "nothing if these are unused; normalisation by mean and deviation must guard against 0",
        feature=feature,
        columns=tuple(d.name for d in dimensions),
    )


def _exists(dimension: Dimension) -> bool:
    return dimension.signal is None or dimension.signal.exists


def _moves(ranges: Ranges, i: int) -> bool:
    dimension = ranges.dimensions[i]
    if dimension.signal:
        return bool(ranges.span[i] > _MOVES)
    alike = [j for j, d in enumerate(ranges.dimensions) if d.feature == dimension.feature]
    return bool(ranges.span[i] > _MOVES_OF_RANGE * np.quantile(ranges.span[alike], 0.75))


def _limb_moves(ranges: Ranges, dimension: Dimension, still_D: np.ndarray) -> bool:
    """Whether most other joints of the same arm or hand change."""
    others = [
        i
        for i, d in enumerate(ranges.dimensions)
        if d != dimension and (d.feature, d.group) == (dimension.feature, dimension.group)
    ]
    return bool(dimension.group) and bool(others) and bool((~still_D[others]).mean() > 0.5)
