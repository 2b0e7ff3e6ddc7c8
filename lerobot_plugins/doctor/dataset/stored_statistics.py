"""meta/stats.json against the numbers themselves.

A policy normalises by these statistics, so wrong ones spoil a training in silence. Everything is computed
anew, exactly; quantiles need all numbers of a dimension at once, so as many are read at a time as fit.

T frames, D dimensions.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Description, Dimension
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, listed, number, ok, problem, warning
from lerobot_plugins.doctor.dataset.recorded import Recorded
from lerobot_plugins.statistics.exact import QUANTILES, exact_statistics

_NAME = "statistics"
_EXTREMES, _MOMENTS = ("min", "max"), ("mean", "std")
#: Parts of the deviation (for extremes: of the range) that rounding and other summation may cost.
_TOLERANCE = {"min": 1e-3, "max": 1e-3, "mean": 0.02, "std": 0.02}
_QUANTILE_TOLERANCE = 0.05
#: LeRobot 0.6.1 sums squares in float32, which costs the deviation this part of the largest value.
_FLOAT32_STD = 5e-3
_BYTES_AT_ONCE = 512e6


def statistics_findings(recorded: Recorded, description: Description) -> list[DatasetFinding]:
    """Each stored statistic of each number against its exact value."""
    stored, do = recorded.statistics, repair_command(recorded)
    if stored is None:
        return [problem(_NAME, "meta/stats.json is missing or no JSON", do, feature="meta/stats.json")]
    findings: list[DatasetFinding] = []
    averaged: list[str] = []
    rounded: list[str] = []
    for feature, dimensions in description.dimensions.items():
        entry = stored.get(feature)
        if entry is None:
            findings.append(problem(_NAME, f"meta/stats.json has nothing on {feature}", do, feature=feature))
            continue
        if widths := _wrong_widths(entry, len(dimensions)):
            text = f"meta/stats.json has {widths} for {feature}, which has {len(dimensions)} numbers"
            findings.append(problem(_NAME, text, do, feature=feature, value=widths, limit=len(dimensions)))
            continue
        for part, exact in _exact(recorded, dimensions):
            found, off_quantiles, off_std = _compare(entry, exact, part, do)
            findings += found
            averaged += [str(dimension) for dimension in off_quantiles]
            rounded += [str(dimension) for dimension in off_std]
    findings += _pictures(recorded, stored)
    if averaged:
        findings.append(
            warning(
                _NAME,
                f"quantiles are no quantiles of the whole dataset in {listed(averaged)}",
                f"{do} (LeRobot averages those of episodes; normalising by quantiles wants them exact)",
            )
        )
    if rounded:
        findings.append(
            warning(
                _NAME,
                f"std is inexact, as it is small beside the values, in {listed(rounded)}",
                f"{do} (LeRobot sums in float32; policies that divide by std amplify these numbers wrongly)",
            )
        )
    checked = sum(len(dimensions) for dimensions in description.dimensions.values())
    return findings or [ok(_NAME, f"meta/stats.json has the exact values of {checked} numbers")]


def repair_command(recorded: Recorded) -> str:
    """What writes exact statistics into the dataset."""
    return f"lerobot-plugins stats --root={shlex.quote(str(recorded.root))} --in-place"


def _exact(
    recorded: Recorded, dimensions: tuple[Dimension, ...]
) -> Iterator[tuple[tuple[Dimension, ...], dict[str, np.ndarray]]]:
    frames = max(int(recorded.info.get("total_frames") or 1), 1)
    at_once = max(1, int(_BYTES_AT_ONCE // (8 * frames)))
    feature = dimensions[0].feature
    for first in range(0, len(dimensions), at_once):
        part = dimensions[first : first + at_once]
        chosen = slice(first, first + len(part))
        columns = [episode.columns[feature][:, chosen] for episode in recorded.stream([feature])]
        if columns:
            with np.errstate(invalid="ignore"):
                yield part, exact_statistics(np.concatenate(columns))


def _wrong_widths(entry: Mapping[str, Any], width: int) -> str:
    names = (*_EXTREMES, *_MOMENTS, *QUANTILES)
    sizes = {name: np.size(entry[name]) for name in names if name in entry}
    return ", ".join(f"{size} numbers ({name})" for name, size in sizes.items() if size != width)


def _compare(
    entry: Mapping[str, Any], exact: Mapping[str, np.ndarray], part: tuple[Dimension, ...], do: str
) -> tuple[list[DatasetFinding], list[Dimension], list[Dimension]]:
    """Problems, dimensions whose quantiles lie elsewhere, and those whose deviation is rounded."""
    first = part[0].index
    stored = {
        name: np.asarray(entry[name], dtype=np.float64).reshape(-1)[first : first + len(part)]
        for name in exact
        if name in entry and name != "count"
    }
    findings: list[DatasetFinding] = []
    off_quantiles: list[Dimension] = []
    off_std: list[Dimension] = []
    for i, dimension in enumerate(part):
        if not np.isfinite(exact["mean"].reshape(-1)[i]):
            continue  # the business of `finite`
        span = exact["max"][i] - exact["min"][i]
        wrong = [
            name
            for name in (*_EXTREMES, *_MOMENTS)
            if name in stored and not _near(name, stored[name][i], exact, i, span)
        ]
        low, high = exact["min"][i] - 1e-3 * span - 1e-6, exact["max"][i] + 1e-3 * span + 1e-6
        wrong += [q for q in QUANTILES if q in stored and not low <= stored[q][i] <= high]
        missing = [name for name in (*_EXTREMES, *_MOMENTS) if name not in stored]
        if wrong or missing:
            name = (wrong or missing)[0]
            value = float(stored[name][i]) if wrong else "missing"
            shown = value if isinstance(value, str) else number(value)
            findings.append(
                problem(
                    _NAME,
                    f"{name} of {dimension} is {shown} in meta/stats.json, exactly "
                    f"{number(float(exact[name][i]))}"
                    + (f" (also {', '.join(wrong[1:])})" if wrong[1:] else ""),
                    do,
                    feature=dimension.feature,
                    columns=(dimension.name,),
                    value=value,
                    limit=float(exact[name][i]),
                )
            )
        elif any(
            abs(stored[q][i] - exact[q][i]) > _QUANTILE_TOLERANCE * span + 1e-6
            for q in QUANTILES
            if q in stored
        ):
            off_quantiles.append(dimension)
        if "std" in stored and not (wrong or missing):
            exactly = float(exact["std"][i])
            if abs(stored["std"][i] - exactly) > _TOLERANCE["std"] * exactly + 1e-6:
                off_std.append(dimension)
    return findings, off_quantiles, off_std


def _near(name: str, value: float, exact: Mapping[str, np.ndarray], i: int, span: float) -> bool:
    scale = span if name in _EXTREMES else float(exact["std"][i])
    right, largest = float(exact[name][i]), float(max(abs(exact["min"][i]), abs(exact["max"][i])))
    rounding = _FLOAT32_STD if name == "std" else 1e-5
    return bool(abs(value - right) <= _TOLERANCE[name] * scale + rounding * largest + 1e-6)


def _pictures(recorded: Recorded, stored: Mapping[str, Any]) -> list[DatasetFinding]:
    """Statistics of colour pictures lie between 0 and 1, whatever the pictures show."""
    findings = []
    for key, feature in recorded.features.items():
        if feature.get("dtype") not in ("image", "video") or feature.get("info", {}).get("is_depth_map"):
            continue
        largest = np.max(np.asarray(stored.get(key, {}).get("max", [0.0]), dtype=np.float64), initial=0.0)
        if largest > 1.0 + 1e-6:
            findings.append(
                problem(
                    _NAME,
                    f"max of {key} is {number(float(largest))} in meta/stats.json; pictures are 0 to 1",
                    "divide the camera's statistics by 255, or compute them anew: "
                    f"{repair_command(recorded)} --cameras",
                    feature=key,
                    value=float(largest),
                    limit=1.0,
                )
            )
    return findings
