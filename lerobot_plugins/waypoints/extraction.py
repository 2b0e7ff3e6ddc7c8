"""Waypoints of one episode: the fewest frames whose straight segments follow the trajectory.

The position-only dynamic programme of AWE (Shi et al. 2023, "Waypoint-Based Imitation Learning for Robotic
Manipulation") as the published index files were made with, including its quirk: the segment that is checked
starts one frame after the previous waypoint.

T frames, D state dimensions of one arm, A action dimensions, N candidate ends, P points.
"""

import numpy as np

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.rule import WaypointRule

# Shorter segments (squared length) have no direction: distances are taken to their start.
_DEGENERATE = 1e-30
# Points checked at once: few enough that a bad segment is dropped early, many enough for NumPy.
_BLOCK = 64


def extract_waypoints(state_TS: np.ndarray, action_TA: np.ndarray, rule: WaypointRule) -> np.ndarray:
    """Waypoint frames of one episode, sorted, first 0, last T - 1.

    Gripper changes are united with the waypoints of each arm afterwards, as in the published files: they only
    shorten segments, but the shortened ones are not checked against the threshold again.

    Args:
        state_TS: Raw states, not normalised.
        action_TA: Raw actions.
        rule: Dimensions and thresholds.

    Returns:
        int64 (W,).

    Raises:
        ZooError: No frame, different lengths, missing dimensions, or values that are not finite.
    """
    frames = len(state_TS)
    if frames == 0 or len(action_TA) != frames:
        raise ZooError(
            "states and actions of an episode do not belong together",
            got=f"{frames} states, {len(action_TA)} actions",
            expected="as many states as actions, at least one",
        )
    found = {0}
    for arm in rule.arms:
        positions = _columns(state_TS, arm, rule.state_key)
        found.update(position_waypoints(positions, rule.threshold, rule.max_duration))
    if rule.gripper_dims:
        grippers_TG = _columns(action_TA, rule.gripper_dims, rule.action_key)
        found.update(gripper_events(grippers_TG, rule.gripper_atol))
    return np.array(sorted(found), dtype=np.int64)


def gripper_events(grippers_TG: np.ndarray, atol: float) -> list[int]:
    """First frames that carry a new gripper value, over all columns, sorted.

    Consecutive frames that each differ from the one before by more than `atol` are one event.
    """
    changes_TG = np.abs(np.diff(grippers_TG, axis=0, prepend=grippers_TG[:1])) > atol
    starts_TG = changes_TG & ~np.roll(changes_TG, 1, axis=0)
    return [int(frame) for frame in np.flatnonzero(starts_TG.any(axis=1))]


def position_waypoints(position_TD: np.ndarray, threshold: float, max_duration: int | None) -> list[int]:
    """Frames at which straight segments end, sorted, without frame 0.

    Among the segmentations with the fewest segments the one is taken whose last segment starts earliest, then
    the one before it, and so on.

    Args:
        position_TD: float64 positions of one arm.
        threshold: See `WaypointRule`.
        max_duration: Longest distance between two waypoints in frames, the first being frame 0.
    """
    frames = len(position_TD)
    if threshold <= 0 or max_duration == 1:
        return list(range(1, frames))
    if frames == 1:
        return []
    position_DT = np.ascontiguousarray(position_TD.T)
    # fewest[i]: segments up to frame i; start[i]: where the last of them starts, one after its waypoint.
    fewest = np.full(frames, frames)
    start = np.zeros(frames, dtype=np.int64)
    fewest[0], fewest[1], start[1] = 0, 1, 1
    for k in range(1, frames - 1):
        limit = frames if max_duration is None else min(frames, k + max_duration)
        # Only a strict improvement counts, so a frame that is reached as cheaply already needs no check.
        count = 1 + fewest[k - 1]
        ends_N = k + 1 + np.flatnonzero(fewest[k + 1 : limit] > count)
        reached = _within(position_DT, k, ends_N, threshold)
        fewest[reached], start[reached] = count, k
    found = []
    frame = frames - 1
    while frame > 0:
        found.append(frame)
        frame = int(start[frame]) - 1
    return found[::-1]


def segment_error(position_TD: np.ndarray, first: int, last: int) -> np.ndarray:
    """Distance of frames `first` ... `last` to the segment between those two, (last - first + 1,)."""
    position_DT = np.ascontiguousarray(position_TD.T, dtype=np.float64)
    points = np.arange(first, last + 1)[None]
    return _distance(position_DT, first, np.array([last]), points)[0]


def _within(position_DT: np.ndarray, k: int, ends_N: np.ndarray, threshold: float) -> np.ndarray:
    """The ends i for which all of k..i-1 lie closer than `threshold` to the segment from k to i."""
    # Most bad segments show at their middle or quarters.
    for quarter in (2, 1, 3):
        points_NP = (k + (ends_N - k) * quarter // 4)[:, None]
        ends_N = ends_N[_distance(position_DT, k, ends_N, points_NP)[:, 0] < threshold]
    good = []
    first = k + 1
    while len(ends_N):
        good.append(ends_N[ends_N <= first])
        ends_N = ends_N[ends_N > first]
        if len(ends_N):
            points_NP = np.arange(first, min(first + _BLOCK, ends_N[-1]))[None]
            distance_NP = _distance(position_DT, k, ends_N, points_NP)
            ends_N = ends_N[((distance_NP < threshold) | (points_NP >= ends_N[:, None])).all(axis=1)]
        first += _BLOCK
    return np.concatenate(good) if good else ends_N


def _distance(position_DT: np.ndarray, k: int, ends_N: np.ndarray, points_NP: np.ndarray) -> np.ndarray:
    """Distances (N, P) of points, (N, P) or (1, P), to the segments from frame k to each end."""
    # NumPy adds along the leading axis in order, so results equal those of a plain loop bit by bit.
    start_D11 = position_DT[:, k, None, None]
    segment_DN1 = position_DT[:, ends_N, None] - start_D11
    offset_DNP = position_DT[:, points_NP] - start_D11
    length_N1 = (segment_DN1 * segment_DN1).sum(axis=0)
    degenerate_N1 = length_N1 < _DEGENERATE
    share_NP = (offset_DNP * segment_DN1).sum(axis=0) / np.where(degenerate_N1, 1.0, length_N1)
    share_NP = np.where(degenerate_N1, 0.0, np.clip(share_NP, 0.0, 1.0))
    rest_DNP = offset_DNP - share_NP * segment_DN1
    return np.sqrt((rest_DNP * rest_DNP).sum(axis=0))


def _columns(values_TC: np.ndarray, dims: tuple[int, ...], key: str) -> np.ndarray:
    if max(dims) >= values_TC.shape[1]:
        raise ZooError(
            f"waypoints need dimension {max(dims)} of {key}",
            got=f"{values_TC.shape[1]} dimensions",
            expected=f"at least {max(dims) + 1}",
            do="choose the preset of this robot, or name dimensions with --arms and --gripper-dims",
        )
    columns = np.asarray(values_TC[:, list(dims)], dtype=np.float64)
    if not np.isfinite(columns).all():
        frame = int(np.flatnonzero(~np.isfinite(columns).all(axis=1))[0])
        raise ZooError(
            f"{key} has a value that is not finite in frame {frame}",
            got=columns[frame].tolist(),
            expected="finite numbers",
            do="repair the dataset; waypoints of damaged frames would be wrong",
        )
    return columns
