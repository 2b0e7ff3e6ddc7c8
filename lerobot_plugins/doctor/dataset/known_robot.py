"""Which robot recorded a dataset, and in which layout."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.layout import KINDS, Layout
from lerobot_plugins.contracts.recognition import column_names
from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.doctor.dataset.dimensions import Dimension
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, listed, number, ok, problem, warning
from lerobot_plugins.doctor.dataset.ranges import Ranges
from lerobot_plugins.errors import ZooError

_NAME = "layout"
#: What datasets call robots whose contract has another name.
_ALSO = {"franka": "libero_franka", "panda": "libero_franka", "r1lite": "galaxea_r1_lite", "r1pro": "r1_pro"}


class KnownRobot(NamedTuple):
    """What is known of the robot; contract and layout are None if it is a foreign one."""

    contract: RobotContract | None
    layout: Layout | None
    findings: list[DatasetFinding]


def know_robot(
    info: Mapping[str, Any],
    sample: Mapping[str, np.ndarray],
    robot: str | None = None,
    layout_name: str | None = None,
) -> KnownRobot:
    """Recognise the robot and the layout of a dataset.

    Args:
        info: Its info.json.
        sample: Feature -> some frames (T, D), which tell layouts apart that differ in units only.
        robot: The robot, if the user names it; else info.json's `robot_type`, else the columns tell.
        layout_name: The layout, if the user names it.

    Raises:
        ZooError: The user names a robot or a layout that does not exist.
    """
    features = info["features"]
    stated = str(info.get("robot_type") or "")
    robot = robot or (stated if stated in catalog.robot_types() else None)
    if layout_name is not None:
        if robot is None:
            raise ZooError("--layout needs to know the robot", do="pass --robot as well")
        layout = catalog.layout(robot, layout_name)
        return _known(layout, _misfits(features, layout))
    if robot is not None:
        catalog.contract(robot)
        try:
            return _known(catalog.recognise(features, robot), [])
        except ZooError as error:
            if chosen := _by_values(features, sample, robot):
                return _known(chosen, [])
            return KnownRobot(catalog.contract(robot), None, [_unfitting(robot, error)])
    try:
        layout = catalog.recognise(features, _ALSO.get(stated))
    except ZooError:
        text = (
            f"robot {stated or 'unknown'} has no contract here: limits, units and grippers were not checked"
        )
        return KnownRobot(
            None, None, [ok(_NAME, f"{text} (--robot names one of {', '.join(catalog.robot_types())})")]
        )
    return _known(layout, [])


def other_layout_findings(
    features: Mapping[str, Any], layout: Layout | None, ranges: Ranges, claimed: set[Dimension]
) -> list[DatasetFinding]:
    """Numbers that do not fit this layout, but another one with the same names and other units."""
    if layout is None:
        return []
    findings = []
    for other in catalog.layouts(layout.robot_type).values():
        if other.name == layout.name or _misfits(features, other):
            continue
        changed = _of_other_units(layout, other, ranges)
        for feature in dict.fromkeys(ranges.dimensions[i].feature for i, _, _ in changed):
            chosen = [change for change in changed if ranges.dimensions[change[0]].feature == feature]
            often = [i for i, _, _ in chosen if ranges.outside_D[i] > 0.05 * ranges.frames]
            if not often or any(ranges.dimensions[i] in claimed for i, _, _ in chosen):
                continue
            if all(_fits(ranges, i, scale, offset) for i, scale, offset in chosen):
                findings.append(_of_other_layout(ranges, [i for i, _, _ in chosen], often[0], layout, other))
                claimed.update(ranges.dimensions[i] for i, _, _ in chosen)
    return findings


def _of_other_layout(
    ranges: Ranges, chosen: list[int], worst: int, layout: Layout, other: Layout
) -> DatasetFinding:
    place, value = ranges.first[worst]
    first = ranges.dimensions[worst]
    names = tuple(ranges.dimensions[i].name for i in chosen)
    ends = sorted(first.recorded(float(limit)) for limit in (ranges.lower_D[worst], ranges.upper_D[worst]))
    return problem(
        "units",
        f"{first.feature} has units of layout {other.name}, not of {layout.name}: {first.name} is "
        f"{number(first.recorded(value))} in {place}, limits {number(ends[0])} to {number(ends[1])}; so are "
        f"{listed(names)}",
        f"convert these columns, or pass --layout={other.name} if all of them are meant so",
        feature=first.feature,
        columns=names,
        episode=place.episode,
        frame=place.frame,
        value=first.recorded(value),
        limit=f"{number(ends[0])} to {number(ends[1])}",
    )


def _by_values(features: Mapping[str, Any], sample: Mapping[str, np.ndarray], robot: str) -> Layout | None:
    """Of layouts with the same columns in other units, the one that most columns of the sample fit."""
    fitting = [
        layout
        for layout in catalog.layouts(robot).values()
        if not layout.ask and not _misfits(features, layout)
    ]
    if (
        len({tuple(column.signal for kind in KINDS for column in layout.columns(kind)) for layout in fitting})
        != 1
    ):
        return None
    return max(fitting, key=lambda layout: _fitting_columns(layout, sample))


def _fitting_columns(layout: Layout, sample: Mapping[str, np.ndarray]) -> int:
    """How many grippers of a sample lie between 0 and 1, and do not all but vanish."""
    count = 0
    for kind in KINDS:
        for key, columns in layout.features(kind).items():
            for i, column in enumerate(columns):
                if "gripper" in column.signal and key in sample:
                    opening_T = column.scale * sample[key][:, i] + column.offset
                    high = float(np.nanmax(opening_T, initial=0.0))
                    count += bool(0.02 < high < 1.2) or not opening_T.any()
    return count


def _known(layout: Layout, findings: list[DatasetFinding]) -> KnownRobot:
    contract = catalog.contract(layout.robot_type)
    if findings:
        return KnownRobot(contract, None, findings)
    return KnownRobot(
        contract, layout, [ok(_NAME, f"{layout.robot_type}, {layout.name}. {layout.about}".rstrip())]
    )


def _unfitting(robot: str, error: ZooError) -> DatasetFinding:
    text = f"{error.what} of {robot}: {error.got}"
    if "several" in error.what:
        do = f"pass --layout with the one that it is ({error.expected})"
        return warning(
            _NAME, f"{text}; limits, units and grippers were not checked", do, limit=str(error.expected)
        )
    do = "check names and number of the columns in meta/info.json, or pass another --robot"
    return problem(
        _NAME, text, do, feature="observation.state, action", value=str(error.got), limit=str(error.expected)
    )


def _misfits(features: Mapping[str, Any], layout: Layout) -> list[DatasetFinding]:
    """Features that are not as wide as the layout's, or that name their columns otherwise."""
    findings = []
    for kind in KINDS:
        for key, columns in layout.features(kind).items():
            entry = features.get(key)
            found = int(np.prod(entry["shape"])) if entry else 0
            names = column_names(entry) if entry else None
            strange = None
            if names is not None and len(names) == len(columns):
                pairs = zip(columns, names, strict=True)
                strange = next((name for column, name in pairs if not column.accepts(str(name))), None)
            if found == len(columns) and strange is None:
                continue
            what = f"{found} numbers" if found != len(columns) else f"a column {strange}"
            text = (
                f"{key} has {what}, layout {layout.name} of {layout.robot_type} has {len(columns)} numbers "
                f"from {columns[0].name} on"
            )
            do = "pass another --layout, or none to have it recognised"
            findings.append(problem(_NAME, text, do, feature=key, value=found, limit=len(columns)))
    return findings


def _of_other_units(layout: Layout, other: Layout, ranges: Ranges) -> list[tuple[int, float, float]]:
    """Dimensions whose units differ between the layouts: (index, scale, offset) from this to the other."""
    place = {(d.feature, d.index): i for i, d in enumerate(ranges.dimensions)}
    chosen = []
    for kind in KINDS:
        theirs = other.features(kind)
        for key, columns in layout.features(kind).items():
            if len(theirs.get(key, ())) != len(columns):
                return []
            for j, (mine, their) in enumerate(zip(columns, theirs[key], strict=True)):
                if mine.signal != their.signal:
                    return []
                i = place.get((key, j))
                if i is not None and (mine.scale, mine.offset) != (their.scale, their.offset):
                    scale = their.scale / mine.scale
                    chosen.append((i, scale, their.offset - mine.offset * scale))
    return chosen


def _fits(ranges: Ranges, i: int, scale: float, offset: float) -> bool:
    ends = sorted(scale * float(end) + offset for end in (ranges.low_D[i], ranges.high_D[i]))
    room = ranges.slack_D[i]
    return bool(ends[0] >= ranges.lower_D[i] - room and ends[1] <= ranges.upper_D[i] + room)
