"""How a dataset lays a robot's signals out: which column holds which, and in which unit.

A layout says for every column of a recorded state and action which signal of the robot it is and how its
number becomes the contract's unit: `value = scale * recorded + offset`. Layouts are compared and converted
(`conversion`) by signal, never by position: swapped wrists and fingers are the classic silent faults.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from lerobot_plugins.contracts.joints import bare
from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.errors import ZooError

if TYPE_CHECKING:
    import torch

Values = TypeVar("Values", np.ndarray, "torch.Tensor")
Kind = Literal["state", "action"]
KINDS: tuple[Kind, Kind] = ("state", "action")
STATE, ACTION = "observation.state", "action"
_FEATURES: dict[Kind, str] = {"state": STATE, "action": ACTION}


@dataclass(frozen=True)
class Column:
    """One column of a recorded vector.

    Args:
        name: As the layout names it.
        signal: Name of the signal that it holds. Signals that the contract does not have (a torso's twist)
            are allowed: they are dropped where the target has none.
        scale: `signal = scale * recorded + offset`, in the contract's unit.
        offset: See `scale`.
        aliases: Other names of it in datasets.
        feature: The feature that holds it; `observation.state` or `action` if empty.
    """

    name: str
    signal: str
    scale: float = 1.0
    offset: float = 0.0
    aliases: tuple[str, ...] = ()
    feature: str = ""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale != 0 and np.isfinite(self.offset)):
            raise ZooError(
                f"column {self.name} cannot be converted back",
                got=f"{self.scale} * recorded + {self.offset}",
                expected="a finite scale that is not 0, and a finite offset",
            )

    def accepts(self, name: str) -> bool:
        """Whether a dataset's name of a column means this one."""
        return name == self.name or name in self.aliases


@dataclass(frozen=True)
class Layout:
    """The columns of a dataset's state and action.

    Args:
        name: `v1_37`.
        robot_type: The contract that the signals belong to.
        state: Columns of the state, in order; of several features one after the other.
        action: Columns of the action, likewise.
        about: One sentence for readers: who records so.
        sums: Signal of the state -> columns whose sum it is (a gripper's width from its two fingers).
        ask: Its names and widths are also another layout's, and only its units differ: the other one is
            recognised, this one must be asked for by name.
    """

    name: str
    robot_type: str
    state: tuple[Column, ...]
    action: tuple[Column, ...]
    about: str = ""
    sums: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    ask: bool = False

    def __post_init__(self) -> None:
        for kind in KINDS:
            signals = [column.signal for column in self.columns(kind)]
            if len(set(signals)) != len(signals):
                twice = sorted({signal for signal in signals if signals.count(signal) > 1})
                raise ZooError(f"{self.robot_type} {self.name}: the {kind} holds a signal twice", got=twice)

    def columns(self, kind: Kind) -> tuple[Column, ...]:
        """The columns of the state or the action."""
        return self.state if kind == "state" else self.action

    def names(self, kind: Kind) -> list[str]:
        """Names of the columns of the state or the action."""
        return [column.name for column in self.columns(kind)]

    def features(self, kind: Kind) -> dict[str, tuple[Column, ...]]:
        """Feature of the dataset -> its columns, in the order in which they are joined."""
        grouped: dict[str, list[Column]] = {}
        for column in self.columns(kind):
            grouped.setdefault(column.feature or _FEATURES[kind], []).append(column)
        return {feature: tuple(columns) for feature, columns in grouped.items()}

    def assemble(self, kind: Kind, frame: Mapping[str, Values]) -> Values:
        """One vector from a frame whose state or action is spread over several features.

        Args:
            kind: State or action.
            frame: Feature -> (..., width).

        Returns:
            (..., D), in the layout's order.

        Raises:
            ZooError: A feature is missing or has another width.
        """
        parts = []
        for feature, columns in self.features(kind).items():
            if feature not in frame:
                raise ZooError(f"layout {self.name} needs a feature that is missing", got=feature)
            if frame[feature].shape[-1:] != (len(columns),):
                raise ZooError(
                    f"{feature} has another width than layout {self.name}",
                    got=tuple(frame[feature].shape),
                    expected=f"(..., {len(columns)})",
                )
            parts.append(frame[feature])
        if isinstance(parts[0], np.ndarray):
            return np.concatenate(parts, axis=-1)
        import torch

        return torch.cat(parts, dim=-1)

    def by_signal(self, kind: Kind, values: Values) -> dict[str, Values]:
        """Signal -> its values in the contract's unit, (...,), from recorded values (..., D).

        Raises:
            ZooError: The last dimension is not the layout's.
        """
        columns = self.columns(kind)
        check_width(values, columns, f"{kind} of layout {self.name}")
        return {
            column.signal: column.scale * values[..., i] + column.offset for i, column in enumerate(columns)
        }


def check_width(values: Values, columns: tuple[Column, ...], what: str) -> None:
    """Raise a `ZooError` if `values` is not (..., number of columns)."""
    if not values.shape or values.shape[-1] != len(columns):
        raise ZooError(
            f"the {what} has another length",
            got=tuple(values.shape),
            expected=f"(..., {len(columns)}): {columns[0].name} to {columns[-1].name}",
            do="recognise the dataset's layout anew: lerobot_plugins.contracts.catalog.recognise(features)",
        )


def contract_layout(contract: RobotContract, name: str, about: str = "") -> Layout:
    """The layout in which the robot's own plugin records: the contract's signals, as they are."""

    def columns(kind: Kind) -> tuple[Column, ...]:
        signals = contract.state if kind == "state" else contract.action
        return tuple(Column(signal.name, signal.name, aliases=signal.aliases) for signal in signals)

    return Layout(name, contract.robot_type, columns("state"), columns("action"), about)


def columns_of(
    signals: Iterable[str], scales: Mapping[str, tuple[float, float]] | None = None
) -> tuple[Column, ...]:
    """A column for each signal, named like it, with or without its suffix.

    Args:
        signals: In order.
        scales: Signal -> (scale, offset) where the recorded unit is not the contract's.
    """
    return tuple(
        Column(signal, signal, *(scales or {}).get(signal, (1.0, 0.0)), aliases=(bare(signal),))
        for signal in signals
    )


def rescaled(
    layout: Layout,
    name: str,
    scales: Mapping[str, tuple[float, float]],
    about: str,
    kinds: Iterable[Kind] = KINDS,
) -> Layout:
    """The same columns with some recorded in other units, as a layout of its own that must be asked for.

    Args:
        layout: Where the columns come from.
        name: Name of the new layout.
        scales: Signal -> (scale, offset) from the new recorded unit to the contract's.
        about: Who records so.
        kinds: Where the other units are used.
    """

    def changed(kind: Kind) -> tuple[Column, ...]:
        if kind not in kinds:
            return layout.columns(kind)
        return tuple(
            replace(column, scale=scales[column.signal][0], offset=scales[column.signal][1])
            if column.signal in scales
            else column
            for column in layout.columns(kind)
        )

    return replace(layout, name=name, state=changed("state"), action=changed("action"), about=about, ask=True)
