"""Numbers beyond what the robot can do."""

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension, mirrored
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, number, ok, problem, warning
from lerobot_plugins.doctor.dataset.ranges import Ranges

# A part of all frames beyond a limit: more is no slip, and the reason may be another order of the columns.
_OFTEN = 0.05


def exchanged_findings(ranges: Ranges, claimed: set[Dimension]) -> list[DatasetFinding]:
    """Left and right exchanged in state and action alike, which only limits can tell.

    An arm's joints are exchanged with the other arm's if some often lie beyond their limits and, each in the
    other's place, none does. Limits that are the same on both sides say nothing.
    """
    findings = []
    place_of = {(d.feature, d.name): i for i, d in enumerate(ranges.dimensions)}
    for feature in dict.fromkeys(d.feature for d in ranges.dimensions):
        for group in dict.fromkeys(d.group for d in ranges.dimensions if d.feature == feature):
            members = [i for i, d in enumerate(ranges.dimensions) if (d.feature, d.group) == (feature, group)]
            others = [place_of.get((feature, mirrored(ranges.dimensions[i].name)), i) for i in members]
            if "left" not in group.lower() or members == others or set(members) & set(others):
                continue
            both = list(zip(members, others, strict=True)) + list(zip(others, members, strict=True))
            often = [i for i, _ in both if ranges.outside_D[i] > _OFTEN * ranges.frames]
            if not often or not all(ranges.within(i, j) for i, j in both):
                continue
            if any(ranges.dimensions[i] in claimed for i, _ in both):
                continue
            claimed.update(ranges.dimensions[i] for i, _ in both)
            names = tuple(ranges.dimensions[i].name for i, _ in both)
            place, value = ranges.first[often[0]]
            findings.append(
                problem(
                    "order",
                    f"{feature}: {group} and {mirrored(group)} look exchanged: {_text(ranges, often[0])} "
                    f"(in {place}), and every joint fits the limits of its counterpart",
                    "exchange the columns of both arms when converting, or the names in meta/info.json",
                    feature=feature,
                    columns=names,
                    episode=place.episode,
                    frame=place.frame,
                    value=value,
                    limit=_limit(ranges, often[0]),
                )
            )
    return findings


def limit_findings(ranges: Ranges, claimed: set[Dimension]) -> list[DatasetFinding]:
    """Each dimension that passes a limit, by how much and where; small passings are a warning."""
    findings: list[DatasetFinding] = []
    known = [
        i for i in range(len(ranges.dimensions)) if np.isfinite([ranges.lower_D[i], ranges.upper_D[i]]).any()
    ]
    for i in known:
        dimension = ranges.dimensions[i]
        if dimension in claimed or not ranges.outside_D[i]:
            continue
        place, value = ranges.first[i]
        claimed.add(dimension)
        findings.append(
            problem(
                "limits",
                f"{_text(ranges, i)} ({place}; {ranges.outside_D[i]} of {ranges.frames} frames)",
                _advice(ranges, i),
                feature=dimension.feature,
                columns=(dimension.name,),
                episode=place.episode,
                frame=place.frame,
                value=dimension.recorded(value),
                limit=_limit(ranges, i),
            )
        )
    beyond = [
        i
        for i in known
        if not ranges.outside_D[i] and ranges.dimensions[i] not in claimed and _beyond(ranges, i)
    ]
    for feature in dict.fromkeys(ranges.dimensions[i].feature for i in beyond):
        chosen = [i for i in beyond if ranges.dimensions[i].feature == feature]
        findings.append(
            warning(
                "limits",
                f"{feature} passes limits a little: "
                + ", ".join(_text(ranges, i, short=True) for i in chosen),
                "nothing if your robot's limits are wider than the contract's; a plugin clamps such actions",
                feature=feature,
                columns=tuple(ranges.dimensions[i].name for i in chosen),
            )
        )
    if not findings and known:
        findings.append(ok("limits", f"{len(known)} numbers are within the robot's limits"))
    return findings


def _beyond(ranges: Ranges, i: int) -> bool:
    little = 0.2 * ranges.slack_D[i]
    return bool(ranges.low_D[i] < ranges.lower_D[i] - little or ranges.high_D[i] > ranges.upper_D[i] + little)


def _advice(ranges: Ranges, i: int) -> str:
    dimension = ranges.dimensions[i]
    fitting = [
        ranges.dimensions[j].name
        for j, other in enumerate(ranges.dimensions)
        if (other.feature, other.group) == (dimension.feature, dimension.group)
        and j != i
        and ranges.within(i, j)
        and (ranges.lower_D[j], ranges.upper_D[j]) != (ranges.lower_D[i], ranges.upper_D[i])
    ]
    often = ranges.outside_D[i] > _OFTEN * ranges.frames
    if often and fitting:
        return f"check names, units and order of the columns: these numbers would fit {', '.join(fitting)}"
    if often:
        return "check unit, sign and name of the column; the model of the robot if its limits differ"
    return "look at these frames; leave the episode out if the sensor failed"


def _text(ranges: Ranges, i: int, short: bool = False) -> str:
    dimension = ranges.dimensions[i]
    worst = (
        ranges.low_D[i]
        if ranges.lower_D[i] - ranges.low_D[i] > ranges.high_D[i] - ranges.upper_D[i]
        else ranges.high_D[i]
    )
    name = dimension.name if short else str(dimension)
    return f"{name} reaches {number(dimension.recorded(float(worst)))}, limits {_limit(ranges, i)}"


def _limit(ranges: Ranges, i: int) -> str:
    dimension = ranges.dimensions[i]
    ends = sorted(dimension.recorded(float(limit)) for limit in (ranges.lower_D[i], ranges.upper_D[i]))
    return f"{number(ends[0])} to {number(ends[1])}"
