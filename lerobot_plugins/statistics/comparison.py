"""Two sets of statistics, number by number."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import groupby, product
from typing import Any

import numpy as np

from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.described import Described

Entry = Mapping[str, np.ndarray]
#: Of the largest magnitude, at least 1: differences of what hardly changes are measured by it.
_LEAST_SCALE = 1e-6


@dataclass(frozen=True)
class Difference:
    """One statistic of one dimension that differs.

    Args:
        feature: The feature.
        dimension: Its place.
        name: What it is called.
        statistic: `mean`, `q01` ...
        one: In the first set.
        other: In the second.
        share: The difference as a part of the dimension's range.
    """

    feature: str
    dimension: int
    name: str
    statistic: str
    one: float
    other: float
    share: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """What differs between two sets.

    Args:
        differences: Statistics that differ by more than the tolerance, in order.
        compared: How many statistics of dimensions were compared.
        notes: Features or statistics that only one set has, other counts; they are no differences.
        widths: Features of different widths, which are.
    """

    differences: list[Difference]
    compared: int
    notes: list[str]
    widths: list[str]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences and not self.widths

    def rows(self) -> list[tuple[Difference, list[str]]]:
        """For each dimension that differs its largest difference, and which other statistics differ."""
        found = []
        for _, group in groupby(self.differences, key=lambda d: (d.feature, d.dimension)):
            members = list(group)
            worst = max(members, key=lambda d: d.share)
            found.append((worst, [d.statistic for d in members if d is not worst]))
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "agrees": self.agrees,
            "compared": self.compared,
            "differences": [difference.to_dict() for difference in self.differences],
            "widths": self.widths,
            "notes": self.notes,
        }


def compare(one: Described, other: Described, tolerance: float) -> Comparison:
    """Compare every statistic that both sets have.

    Args:
        one: Its range is the measure, where it has extremes.
        other: Zeros beyond the other's width are padding (openpi fills up to 32).
        tolerance: Largest difference, as a part of a dimension's range.

    Raises:
        ZooError: They have no feature in common.
    """
    features = [feature for feature in one.stats if feature in other.stats]
    if not features:
        raise ZooError(
            "the statistics have no feature in common",
            got=f"{', '.join(one.stats)} in {one.origin}; {', '.join(other.stats)} in {other.origin}",
            expected="at least one name that both have",
            do="compare files of the same robot and layout",
        )
    found = Comparison([], 0, _only(one, other, features), [])
    compared = 0
    for feature in features:
        first, second = _vectors(one.stats[feature]), _vectors(other.stats[feature])
        fields = [name for name in first if name in second]
        if missing := [name for name in (*first, *second) if name not in fields]:
            found.notes.append(f"{feature}: only one has {', '.join(dict.fromkeys(missing))}")
        width = _common_width(first, second, fields)
        if width is None:
            here, there = (len(next(iter(entry.values()))) for entry in (first, second))
            found.widths.append(f"{feature} has {here} numbers in {one.origin}, {there} in {other.origin}")
            continue
        _note_counts(found, feature, one, other)
        compared += width * len(fields)
        names = one if one.names.get(feature) else other
        scale_D = _scale(first, second, width)
        for i, field in product(range(width), fields):
            a, b = float(first[field][i]), float(second[field][i])
            share = abs(a - b) / float(scale_D[i])
            # What is not a number differs from everything.
            if not share <= tolerance:
                name = names.named(feature, i)
                found.differences.append(Difference(feature, i, name, field, a, b, share))
    return Comparison(found.differences, compared, found.notes, found.widths)


def _vectors(entry: Entry) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(value, float).ravel()
        for name, value in entry.items()
        if name in ("min", "max", "mean", "std") or re.fullmatch(r"q\d\d", name)
    }


def _common_width(first: Entry, second: Entry, fields: list[str]) -> int | None:
    """The narrower width, if the rest of the wider set is padding; None if it is not."""
    if not fields:
        return 0
    width = min(len(entry[field]) for entry in (first, second) for field in fields)
    padded = all(not entry[field][width:].any() for entry in (first, second) for field in fields)
    return width if padded else None


def _scale(first: Entry, second: Entry, width: int) -> np.ndarray:
    """The range of each dimension in the first set, by what it has: extremes, quantiles, or deviation."""
    for low, high in (("min", "max"), ("q01", "q99")):
        if low in first and high in first:
            span_D = first[high][:width] - first[low][:width]
            break
    else:
        span_D = first.get("std", np.zeros(width))[:width]
    values = [entry[name][:width] for entry in (first, second) for name in entry]
    largest_D = np.max(np.abs(values), axis=0, initial=1.0)
    return np.maximum(span_D, _LEAST_SCALE * largest_D)


def _only(one: Described, other: Described, features: list[str]) -> list[str]:
    return [
        f"only in {described.origin}: {', '.join(rest)}"
        for described in (one, other)
        if (rest := [feature for feature in described.stats if feature not in features])
    ]


def _note_counts(found: Comparison, feature: str, one: Described, other: Described) -> None:
    first, second = one.stats[feature].get("count"), other.stats[feature].get("count")
    if first is not None and second is not None and first.ravel()[0] != second.ravel()[0]:
        found.notes.append(f"{feature}: of {first.ravel()[0]:g} frames and of {second.ravel()[0]:g}")
