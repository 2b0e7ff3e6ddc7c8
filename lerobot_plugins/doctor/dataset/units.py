"""Degrees where radians belong, and grippers in another convention than the robot's."""

import math

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, number, ok, problem
from lerobot_plugins.doctor.dataset.ranges import Ranges

# A spike beyond the limits is a jump, no unit.
_TYPICAL = 0.05
#: No joint with limits turns as far in radians; smaller numbers may have another reason.
_NO_RADIANS = 4.0
_CLOSED_TO_OPEN = {"0 to 1": (0.0, 1.0), "0 to 100": (0.0, 100.0), "-1 to 1": (-1.0, 1.0)}


def degree_findings(ranges: Ranges, claimed: set[Dimension]) -> list[DatasetFinding]:
    """Joints that lie far beyond their limits, but within them when their numbers are read as degrees."""
    found: dict[str, list[int]] = {}
    joints = [i for i, d in enumerate(ranges.dimensions) if d.is_joint and np.isfinite(ranges.upper_D[i])]
    for feature in dict.fromkeys(ranges.dimensions[i].feature for i in joints):
        likely = [
            i
            for i in joints
            if ranges.dimensions[i].feature == feature
            and ranges.dimensions[i] not in claimed
            and ranges.outside_D[i] > _TYPICAL * ranges.frames
            and _fits_as_degrees(ranges, i)
        ]
        if any(np.quantile(np.abs(ranges.kept_KD[:, i]), 0.95) > _NO_RADIANS for i in likely):
            found[feature] = likely
    claimed.update(ranges.dimensions[i] for indices in found.values() for i in indices)
    findings = []
    for feature, indices in found.items():
        worst = max(indices, key=lambda i: float(max(-ranges.low_D[i], ranges.high_D[i])))
        place, value = ranges.first[worst]
        names = tuple(ranges.dimensions[i].name for i in indices)
        findings.append(
            problem(
                "units",
                f"{feature} holds degrees where the robot has radians: {names[indices.index(worst)]} is "
                f"{number(value)} in {place}, its range {_range(ranges, worst)}; so are {', '.join(names)}",
                "multiply these columns by pi/180 when converting, and other joints of their source, whose "
                "numbers are too small to tell",
                feature=feature,
                columns=names,
                episode=place.episode,
                frame=place.frame,
                value=value,
                limit=_range(ranges, worst),
            )
        )
    return findings or [ok("units", f"{len(joints)} joints are in radians")] * bool(joints)


def gripper_findings(ranges: Ranges, claimed: set[Dimension]) -> list[DatasetFinding]:
    """Grippers whose numbers have the range of another convention: 0 to 1, 0 to 100, -1 to 1."""
    grippers = [i for i, d in enumerate(ranges.dimensions) if d.unit == "unit"]
    findings = []
    for i in grippers:
        dimension = ranges.dimensions[i]
        ends = sorted((dimension.recorded(0.0), dimension.recorded(1.0)))
        recorded_K = (ranges.kept_KD[:, i] - dimension.offset) / dimension.scale
        looks = _convention(recorded_K, ends)
        if looks is None or dimension in claimed:
            continue
        claimed.add(dimension)
        low, high = sorted((dimension.recorded(ranges.low_D[i]), dimension.recorded(ranges.high_D[i])))
        place = ranges.first[i][0] if i in ranges.first else None
        findings.append(
            problem(
                "grippers",
                f"{dimension} runs from {number(low)} to {number(high)}, as grippers of {looks} do; in this "
                f"layout it is {number(ends[0])} to {number(ends[1])}",
                "convert the column, or name the layout that has such grippers with --layout",
                feature=dimension.feature,
                columns=(dimension.name,),
                episode=place.episode if place else None,
                frame=place.frame if place else None,
                value=high,
                limit=f"{number(ends[0])} to {number(ends[1])}",
            )
        )
    return findings or [ok("grippers", f"{len(grippers)} grippers have the range of their layout")] * bool(
        grippers
    )


def _convention(recorded_K: np.ndarray, ends: list[float]) -> str | None:
    """The convention that the numbers have, if it is not theirs; None also if they do not tell."""
    room = 0.1 * (ends[1] - ends[0])
    low, high = np.quantile(recorded_K, [0.02, 0.98]) if len(recorded_K) else (0.0, 0.0)
    if low < ends[0] - room or high > ends[1] + room:
        fitting = [
            name
            for name, (closed, open_) in _CLOSED_TO_OPEN.items()
            if low >= closed - 0.05 * (open_ - closed)
            and 0.1 * open_ <= high <= open_ + 0.05 * (open_ - closed)
            and (closed == 0 or low < 0.5 * closed)
        ]
        return fitting[0] if fitting else None
    if ends == [0.0, 100.0] and high <= 1.01 and high - low > 0.2:
        return "0 to 1"
    if ends == [-1.0, 1.0] and abs(low) < 0.02 and abs(high - 1) < 0.02:
        return "0 to 1"
    return None


def _fits_as_degrees(ranges: Ranges, i: int) -> bool:
    factor, room = math.pi / 180, ranges.slack_D[i]
    return bool(
        ranges.low_D[i] * factor >= ranges.lower_D[i] - room
        and ranges.high_D[i] * factor <= ranges.upper_D[i] + room
    )


def _range(ranges: Ranges, i: int) -> str:
    return f"{number(ranges.lower_D[i])} to {number(ranges.upper_D[i])} rad"
