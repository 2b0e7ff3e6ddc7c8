"""The waypoint dynamic programme as plain loops: slow, and easy to check against its description."""

import math
from collections.abc import Sequence

Points = Sequence[Sequence[float]]


def literal_error(x: Points, k: int, i: int) -> float:
    """Largest distance of frames k ... i-1 to the segment from x[k] to x[i]."""
    if i - k < 2:
        return 0.0
    segment = [b - a for a, b in zip(x[k], x[i], strict=True)]
    length = 0.0
    for value in segment:
        length += value * value
    worst = 0.0
    for p in range(k, i):
        offset = [b - a for a, b in zip(x[k], x[p], strict=True)]
        share = 0.0
        if length >= 1e-30:
            for u, v in zip(offset, segment, strict=True):
                share += u * v
            share = min(max(share / length, 0.0), 1.0)
        squared = 0.0
        for u, v in zip(offset, segment, strict=True):
            squared += (u - share * v) * (u - share * v)
        worst = max(worst, math.sqrt(squared))
    return worst


def literal_waypoints(x: Points, threshold: float, max_duration: int | None = None) -> list[int]:
    """Waypoint frames without frame 0."""
    frames = len(x)
    if threshold <= 0 or max_duration == 1:
        return list(range(1, frames))
    count, origin = [0] * frames, [0] * frames
    if frames > 1:
        count[1], origin[1] = 1, 1
    for i in range(2, frames):
        best = math.inf
        for k in range(1 if max_duration is None else max(1, i - max_duration + 1), i):
            if literal_error(x, k, i) < threshold and 1 + count[k - 1] < best:
                best, origin[i] = 1 + count[k - 1], k
        count[i] = int(best)
    found, i = [], frames - 1
    while i > 0:
        found.append(i)
        i = origin[i] - 1
    return found[::-1]
