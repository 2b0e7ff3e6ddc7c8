"""From one layout of a robot's vectors to another: by signal, unit by unit, never by position."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lerobot_plugins.contracts.layout import Column, Kind, Layout, Values, check_width
from lerobot_plugins.errors import ZooError, first_names


@dataclass(frozen=True, eq=False)
class Conversion:
    """A conversion of states or of actions; made by `conversion`.

    Values are neither clamped nor checked: limits are the robot's business, faults the doctor's.

    Args:
        source: Layout of what goes in.
        target: Layout of what comes out.
        kind: State or action.
        fill: Target column -> value, in the target's recorded unit, of what the source lacks.
        dropped: Columns of the source that the target has no place for.
        gather: For each column out, the column in; sums come after the source's columns, filled ones last.
        scale: For each column out, the factor.
        offset: For each column out, the summand.
        summed: For each sum that is needed, the columns in.
    """

    source: Layout
    target: Layout
    kind: Kind
    fill: dict[str, float]
    dropped: list[str]
    gather: list[int]
    scale: np.ndarray
    offset: np.ndarray
    summed: tuple[tuple[int, ...], ...]

    @property
    def is_permutation(self) -> bool:
        """Whether columns are only taken and re-ordered, so that each number stays as it is, bit for bit."""
        return (
            not self.fill and not self.summed and bool((self.scale == 1).all() and (self.offset == 0).all())
        )

    def __call__(self, values: Values) -> Values:
        """Convert recorded vectors.

        Args:
            values: (..., D of the source), floating, NumPy or torch.

        Returns:
            (..., D of the target), a copy of the same kind, dtype and device.

        Raises:
            ZooError: The last dimension is not the source's, or the numbers are integers.
        """
        check_width(values, self.source.columns(self.kind), f"{self.kind} of layout {self.source.name}")
        if not _is_floating(values):
            raise ZooError("only floating numbers can be converted", got=values.dtype, expected="float32")
        if self.is_permutation:
            return values[..., self.gather]
        parts: list[Any] = [values]
        for first, *others in self.summed:
            parts.append(sum((values[..., i : i + 1] for i in others), start=values[..., first : first + 1]))
        filled = list(self.fill.values())
        if isinstance(values, np.ndarray):
            parts.append(np.broadcast_to(np.array(filled, values.dtype), (*values.shape[:-1], len(filled))))
            joined = np.concatenate(parts, axis=-1)[..., self.gather]
            return joined * self.scale.astype(values.dtype) + self.offset.astype(values.dtype)
        parts.append(values.new_tensor(filled).expand(*values.shape[:-1], len(filled)))
        import torch

        joined_tensor = torch.cat(parts, dim=-1)[..., self.gather]
        return joined_tensor * values.new_tensor(self.scale) + values.new_tensor(self.offset)

    def inverse(self, fill: Mapping[str, float] | None = None) -> "Conversion":
        """The way back. What this conversion drops must be given in `fill`."""
        return conversion(self.target, self.source, self.kind, fill)


def _is_floating(values: Any) -> bool:
    if isinstance(values, np.ndarray):
        return bool(np.issubdtype(values.dtype, np.floating))
    return bool(values.is_floating_point())


def conversion(
    source: Layout, target: Layout, kind: Kind, fill: Mapping[str, float] | None = None
) -> Conversion:
    """How states or actions of one layout become another's.

    Args:
        source: Layout of the recorded vectors.
        target: Layout wanted.
        kind: `state` or `action`.
        fill: Values of the columns that the target has and the source lacks, by the target's name of the
            column (or by signal), in the target's recorded unit.

    Raises:
        ZooError: The layouts are of different robots, a column of the target has neither a source nor a
            value, or `fill` names a column that needs none.
    """
    if source.robot_type != target.robot_type:
        raise ZooError(
            "vectors of one robot do not become another's",
            got=f"{source.robot_type} {source.name} -> {target.robot_type} {target.name}",
            expected="two layouts of one robot",
        )
    given = _by_column(fill or {}, target, kind)
    columns = source.columns(kind)
    places = {column.signal: i for i, column in enumerate(columns)}
    sums = source.sums if kind == "state" else {}
    needed = [
        column.signal
        for column in target.columns(kind)
        if column.signal in sums and column.signal not in places
    ]
    names = source.names(kind)
    summed = tuple(tuple(names.index(name) for name in sums[signal]) for signal in needed)
    places |= {signal: len(columns) + i for i, signal in enumerate(needed)}

    gather, scales, offsets, missing = [], [], [], []
    after = len(columns) + len(needed)
    order = list(given)
    for wanted in target.columns(kind):
        if wanted.signal in places:
            place = places[wanted.signal]
            had = columns[place] if place < len(columns) else Column(wanted.signal, wanted.signal)
            gather.append(place)
            scales.append(had.scale / wanted.scale)
            offsets.append((had.offset - wanted.offset) / wanted.scale)
        elif wanted.name in given:
            gather.append(after + order.index(wanted.name))
            scales.append(1.0)
            offsets.append(0.0)
        else:
            missing.append(wanted.name)
    if missing:
        raise ZooError(
            f"{source.name} has no values for columns of the {kind} in {target.name}",
            got=f"missing: {first_names(missing, 8)}",
            expected="a value for each of them",
            do=f"pass fill={{{missing[0]!r}: 0.0, ...}}, or convert to another layout",
        )
    unneeded = [name for name in given if _column(target, kind, name).signal in places]
    if unneeded:
        raise ZooError(
            "fill names columns that the source has", got=first_names(unneeded), do="leave them out"
        )
    used = {*gather, *(i for indices in summed for i in indices)}
    return Conversion(
        source=source,
        target=target,
        kind=kind,
        fill=given,
        dropped=[column.name for i, column in enumerate(columns) if i not in used],
        gather=gather,
        scale=np.array(scales),
        offset=np.array(offsets),
        summed=summed,
    )


def _column(layout: Layout, kind: Kind, name: str) -> Column:
    """The column that `name` means; names come before signals, and signals before aliases."""
    columns = layout.columns(kind)
    for matches in (
        [column for column in columns if column.name == name],
        [column for column in columns if column.signal == name],
        [column for column in columns if name in column.aliases],
    ):
        if len(matches) == 1:
            return matches[0]
    raise ZooError(
        f"fill names no column of the {kind} in {layout.name}",
        got=name,
        expected=first_names(layout.names(kind), 8),
    )


def _by_column(fill: Mapping[str, float], target: Layout, kind: Kind) -> dict[str, float]:
    given: dict[str, float] = {}
    for name, value in fill.items():
        column = _column(target, kind, name)
        if column.name in given:
            raise ZooError("fill names a column twice", got=name)
        if not np.isfinite(value):
            raise ZooError(f"fill of {name} is not a finite number", got=value)
        given[column.name] = float(value)
    return given
