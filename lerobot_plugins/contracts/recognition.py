"""Finding out in which layout a dataset is, from what `meta/info.json` says of its features."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lerobot_plugins.contracts.galaxea_toolkit import arm_width, toolkit_layout
from lerobot_plugins.contracts.layout import ACTION, KINDS, STATE, Column, Kind, Layout
from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.errors import ZooError, first_names

type Features = Mapping[str, Mapping[str, Any]]
#: Vectors without names, of an unknown robot, say nothing if state and action together are shorter.
_FEWEST = 30
_FEATURES: dict[Kind, str] = {"state": STATE, "action": ACTION}


def column_names(feature: Mapping[str, Any]) -> list[str] | None:
    """The names of a vector's columns, or None if it has none that mean anything.

    LeRobot's datasets have them as a list, as a list in a dict (`{"motors": [...]}`), or as a list in a list.
    A list of another length than the vector (`["state"]`), and numbers behind one word (`motor_0, motor_1`),
    name no column.
    """
    names = feature.get("names")
    if isinstance(names, Mapping) and len(names) == 1:
        names = next(iter(names.values()))
    if isinstance(names, Sequence) and len(names) == 1 and isinstance(names[0], list | tuple):
        names = names[0]
    if not isinstance(names, list | tuple) or len(names) != width(feature):
        return None
    texts = [str(name) for name in names]
    stems = {re.sub(r"\d+$", "", text) for text in texts}
    return None if len(texts) > 1 and len(stems) == 1 else texts


def width(feature: Mapping[str, Any]) -> int | None:
    """The length of a vector; None for what is no vector."""
    shape = feature.get("shape", ())
    return int(shape[0]) if len(shape) == 1 else None


def recognise_among(
    features: Features, layouts: Sequence[Layout], contracts: Sequence[RobotContract]
) -> Layout:
    """See `catalog.recognise`; among the given layouts and robots."""
    fitting = [layout for layout in layouts if _fits(features, layout)]
    # Where a layout that must be asked for fits, so does the one that it varies, unless another robot's.
    fitting = [layout for layout in fitting if not layout.ask] or fitting
    fitting += _toolkits(features, contracts)
    named = [layout for layout in fitting if _has_names(features, layout)]
    fitting = named or [layout for layout in fitting if len(contracts) == 1 or _is_long(layout)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ZooError(
            "several layouts fit the dataset: "
            + ("its names" if named else "its widths")
            + " do not tell them apart",
            got=_described(features),
            expected=f"one of {', '.join(_title(layout) for layout in fitting)}",
            do="say which: lerobot_plugins.contracts.catalog.layout(robot_type, name)",
        )
    ordered = [layout for contract in contracts if (layout := _by_name(features, contract)) is not None]
    if len(ordered) == 1:
        return ordered[0]
    candidates = ordered or [layout for layout in layouts if not layout.ask]
    raise ZooError(
        "several robots have these signals" if ordered else "no known layout fits the dataset",
        got=_described(features),
        expected=f"one of {', '.join(_title(layout) for layout in candidates)}",
        do="pass robot_type"
        if ordered
        else "give its columns the names of a contract's signals, or describe a Layout of your own",
    )


def _fits(features: Features, layout: Layout) -> bool:
    """Whether every feature is there with the layout's width and, if it has names, with the layout's."""
    for kind in KINDS:
        for key, columns in layout.features(kind).items():
            if key not in features or width(features[key]) != len(columns):
                return False
            names = column_names(features[key])
            if names is not None and not all(
                column.accepts(name) for column, name in zip(columns, names, strict=True)
            ):
                return False
    return True


def _is_long(layout: Layout) -> bool:
    """Whether its mere widths tell a robot: any arm has a state of 8 and an action of 7."""
    return len(layout.state) + len(layout.action) >= _FEWEST


def _has_names(features: Features, layout: Layout) -> bool:
    return any(column_names(features[key]) for kind in KINDS for key in layout.features(kind))


def _toolkits(features: Features, contracts: Sequence[RobotContract]) -> list[Layout]:
    joints = arm_width(features)
    found = []
    for contract in contracts:
        of_arm = sum(signal.group == "left_arm" for signal in contract.action)
        if contract.robot_type.startswith("galaxea") and of_arm == joints:
            layout = toolkit_layout(features, contract.robot_type)
            found += [layout] if layout is not None else []
    return found


def _by_name(features: Features, contract: RobotContract) -> Layout | None:
    """The contract's signals in the dataset's order, or None if a column is not one of them."""
    columns: dict[Kind, tuple[Column, ...]] = {}
    for kind in KINDS:
        names = column_names(features.get(_FEATURES[kind], {}))
        if names is None:
            return None
        found = []
        for name in names:
            signals = contract.state if kind == "state" else contract.action
            matches = [signal for signal in signals if name == signal.name or name in signal.aliases]
            # 0 to 1 or 0 to 100? A name without suffix is not from this project's plugin.
            if len(matches) != 1 or (matches[0].unit == "unit" and name != matches[0].name):
                return None
            found.append(Column(name, matches[0].name, aliases=matches[0].aliases))
        if len({column.signal for column in found}) != len(found):
            return None
        columns[kind] = tuple(found)
    return Layout(
        "by_name", contract.robot_type, columns["state"], columns["action"], "The order is the dataset's own."
    )


def _title(layout: Layout) -> str:
    widths = "/".join(str(len(layout.columns(kind))) for kind in KINDS)
    return f"{layout.robot_type} {layout.name} ({widths})"


def _described(features: Features) -> str:
    vectors = {key: feature for key, feature in features.items() if width(feature) is not None}
    parts = []
    for key in (STATE, ACTION):
        if key not in vectors:
            parts.append(f"no {key}")
            continue
        names = column_names(vectors[key])
        named = "without names" if names is None else f"named {_first_in_order(names)}"
        parts.append(f"{key} of {width(vectors[key])} {named}")
    others = [key for key in vectors if key.startswith((f"{STATE}.", f"{ACTION}."))]
    return "; ".join(parts) + (f"; {first_names(others)}" if others else "")


def _first_in_order(names: Sequence[str], limit: int = 4) -> str:
    """The first few names as they come: order is what matters here."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" (+{rest} more)" if rest > 0 else "")
