"""What is known of each number of a dataset: its name, and the signal of the robot that it records.

T frames, D dimensions of a feature.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lerobot_plugins.contracts.joints import bare
from lerobot_plugins.contracts.layout import ACTION, KINDS, STATE, Layout
from lerobot_plugins.contracts.robot import RobotContract, Signal
from lerobot_plugins.statistics.columns import INDEX_FEATURES

_SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
_INITIALS = {"L": "R", "R": "L", "l": "r", "r": "l"}
# LIBERO's gripper: the action is -1 when open, the second finger's way is negative.
_OPEN_IS_LOWER = ("gripper.pos", "gripper_qpos_1.pos")
_MEASURES = {"gripper_qpos_0.pos": "gripper.pos"}


@dataclass(frozen=True)
class Dimension:
    """One number of a feature.

    Args:
        feature: `observation.state`.
        index: Its place in the feature.
        name: What the dataset calls it.
        key: By which an action finds the state that measures the same.
        signal: What it is on the robot; None if the robot is unknown.
        scale: `scale * recorded + offset` is in the signal's unit.
        offset: See `scale`.
    """

    feature: str
    index: int
    name: str
    key: str
    signal: Signal | None = None
    scale: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        return f"{self.feature} {self.name}"

    @property
    def unit(self) -> str:
        """The signal's unit; empty if unknown."""
        return self.signal.unit if self.signal else ""

    @property
    def group(self) -> str:
        """The part of the robot; empty if unknown."""
        return self.signal.group if self.signal else ""

    @property
    def is_joint(self) -> bool:
        """Whether it is the angle of a joint that the robot has."""
        return bool(self.signal and self.signal.exists and self.signal.unit == "rad" and self.signal.joint)

    def recorded(self, meant: float) -> float:
        """A number in the signal's unit, as the dataset would have it."""
        return (meant - self.offset) / self.scale


@dataclass(frozen=True)
class Description:
    """A dataset's numbers.

    Args:
        dimensions: Feature -> its dimensions, of every feature that is a vector of numbers.
        fps: Frames per second, as the dataset says.
        contract: The robot; None if unknown.
        layout: Its layout; None if unknown.
    """

    dimensions: Mapping[str, tuple[Dimension, ...]]
    fps: float
    contract: RobotContract | None = None
    layout: Layout | None = None

    def of_state(self) -> list[Dimension]:
        """Dimensions of the measured state, all features of it."""
        return [d for feature, dims in self.dimensions.items() if _is(feature, STATE) for d in dims]

    def of_action(self) -> list[Dimension]:
        """Dimensions of the action, all features of it."""
        return [d for feature, dims in self.dimensions.items() if _is(feature, ACTION) for d in dims]

    def pairs(self) -> list[tuple[Dimension, Dimension]]:
        """Each dimension of the action with that of the state which measures the same."""
        measured: dict[str, list[Dimension]] = {}
        for dimension in self.of_state():
            measured.setdefault(dimension.key, []).append(dimension)
        return [(a, measured[a.key][0]) for a in self.of_action() if len(measured.get(a.key, ())) == 1]


def describe(
    features: Mapping[str, Mapping[str, Any]],
    fps: float,
    layout: Layout | None = None,
    contract: RobotContract | None = None,
) -> Description:
    """A dataset's numbers, from the `features` of its info.json and the layout that they have."""
    known = _known(layout, contract) if layout and contract else {}
    dimensions = {}
    for feature, entry in features.items():
        if not is_vector(entry) or feature in INDEX_FEATURES:
            continue
        width = int(np.prod(entry["shape"]))
        names = flat_names(entry.get("names"))
        if len(names) != width:
            names = [str(i) for i in range(width)]
        meant = known.get(feature, [])
        if len(meant) != width:
            meant = [(None, 1.0, 0.0)] * width
        dimensions[feature] = tuple(
            Dimension(feature, i, names[i], _key(feature, names[i], signal), signal, scale, offset)
            for i, (signal, scale, offset) in enumerate(meant)
        )
    return Description(dimensions, fps, contract, layout)


def is_vector(entry: Mapping[str, Any]) -> bool:
    """Whether a feature is a vector of numbers, or a single one."""
    return entry.get("dtype") not in ("image", "video", "string") and len(entry.get("shape", ())) <= 1


def flat_names(names: Any) -> list[str]:
    """A feature's names, however they are nested: lists, or `{"motors": [...]}`."""
    if isinstance(names, Mapping):
        return [name for part in names.values() for name in flat_names(part)]
    if isinstance(names, (list, tuple)):
        return [name for part in names for name in flat_names(part)]
    return [] if names is None else [str(names)]


def mirrored(name: str) -> str:
    """The name of the other side's counterpart; the same name if it has no side."""
    swapped = re.sub("left|right|Left|Right", lambda match: _SIDES[match.group()], name)
    return re.sub(r"(?<![A-Za-z])[LRlr](?=_)", lambda match: _INITIALS[match.group()], swapped)


def columns_of(columns: Mapping[str, np.ndarray], dimensions: Iterable[Dimension]) -> np.ndarray:
    """The values of dimensions in their signals' units, (T, number of dimensions), float64."""
    picked = [
        columns[d.feature][:, d.index].astype(np.float64) * d.scale + d.offset
        for d in dimensions
        if d.feature in columns
    ]
    return np.stack(picked, axis=1) if picked else np.zeros((0, 0))


_Meaning = tuple[Signal | None, float, float]


def _known(layout: Layout, contract: RobotContract) -> dict[str, list[_Meaning]]:
    known: dict[str, list[_Meaning]] = {}
    for kind in KINDS:
        signals = contract.state_signals if kind == "state" else contract.action_signals
        for feature, columns in layout.features(kind).items():
            known[feature] = [_opening(signals.get(c.signal), c.scale, c.offset) for c in columns]
    return known


def _opening(signal: Signal | None, scale: float, offset: float) -> _Meaning:
    """Grippers of all robots as 0 closed to 1 open, so that action and state can be compared."""
    if signal is None or not signal.group.endswith("gripper") or signal.lower is None or signal.upper is None:
        return signal, scale, offset
    span, closed = signal.upper - signal.lower, signal.lower
    if signal.name in _OPEN_IS_LOWER:
        span, closed = -span, signal.upper
    name = _MEASURES.get(signal.name, signal.name)
    opening = replace(signal, name=name, unit="unit", lower=0.0, upper=1.0)
    return opening, scale / span, (offset - closed) / span


def _is(feature: str, kind: str) -> bool:
    return feature == kind or feature.startswith(kind + ".")


def _key(feature: str, name: str, signal: Signal | None) -> str:
    """Signals pair by their name, other dimensions by part and name: `action.left_arm` 0 is
    `observation.state.left_arm` 0."""
    if signal:
        return signal.name
    for kind in (STATE, ACTION):
        if _is(feature, kind):
            return feature.removeprefix(kind) + "/" + bare(name)
    return feature + "/" + name
