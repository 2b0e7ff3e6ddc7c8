"""A picture of one episode: its path with the waypoints, its state over time, and how far segments are off.

T frames, D state dimensions of one arm.
"""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lerobot_plugins.evaluation.figures import CHUNK, EXECUTED, RECORDED, WIDTH, house_style
from lerobot_plugins.waypoints.columns import EpisodeColumns
from lerobot_plugins.waypoints.extraction import gripper_events, segment_error
from lerobot_plugins.waypoints.rule import WaypointRule
from lerobot_plugins.waypoints.table import EpisodeWaypoints

GRIPPER = "#009e73"


def draw_episode(
    columns: EpisodeColumns, episode: EpisodeWaypoints, rule: WaypointRule, names: list[str] | None = None
) -> Figure:
    """One row for each arm; `names` are those of the state dimensions.

    The error is the distance to the segment between the waypoints themselves. Extraction checks segments that
    start one frame later, and none after a gripper change has cut it, so the error can exceed the threshold.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH, 3.6 * len(rule.arms)), layout="constrained")
        rows = figure.subfigures(len(rule.arms), 1, squeeze=False)[:, 0]
        for row, arm in zip(rows, rule.arms, strict=True):
            position_TD = np.asarray(columns.state_TS[:, list(arm)], dtype=np.float64)
            left, right = row.subfigures(1, 2, width_ratios=(1, 1.7))
            _draw_path(left, position_TD, episode.indices)
            above, below = right.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
            labels = [names[dim] if names else f"state {dim}" for dim in arm]
            _draw_state(above, position_TD, episode.indices, labels)
            _draw_error(below, position_TD, episode.indices, rule.threshold)
            for frame in _events(columns, rule):
                below.axvline(frame, color=GRIPPER, linewidth=0.8, linestyle=":")
        figure.suptitle(
            f"Episode {episode.episode_index}: {len(episode.indices)} waypoints of {episode.frames} frames"
            + (", dotted: gripper changes" if rule.gripper_dims else ""),
            fontsize=9,
        )
    return figure


def error_curve(position_TD: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Distance of each frame to the segment between the waypoints around it, (T,)."""
    error_T = np.zeros(len(position_TD))
    for first, last in pairwise(indices.tolist()):
        error_T[first : last + 1] = segment_error(position_TD, first, last)
    return error_T


def _draw_path(figure: Figure, position_TD: np.ndarray, indices: np.ndarray) -> None:
    """The first three dimensions in space; fewer in a plane, one over time."""
    dims = position_TD.shape[1]
    path_XT = [np.arange(len(position_TD)), position_TD[:, 0]] if dims == 1 else list(position_TD.T[:3])
    axes = figure.add_subplot(projection="3d" if dims > 2 else None)
    axes.plot(*path_XT, color=RECORDED, label="recorded")
    axes.plot(
        *(values[indices] for values in path_XT), color=EXECUTED, marker="o", markersize=3, linewidth=0.9
    )
    axes.set_title("path and waypoints")
    axes.tick_params(labelsize=6)


def _draw_state(axes: Axes, position_TD: np.ndarray, indices: np.ndarray, labels: list[str]) -> None:
    for values_T, label in zip(position_TD.T, labels, strict=True):
        (line,) = axes.plot(values_T, linewidth=1.0, label=label)
        axes.plot(indices, values_T[indices], "o", color=line.get_color(), markersize=2.5)
    axes.set_title("state")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=1.2)


def _draw_error(axes: Axes, position_TD: np.ndarray, indices: np.ndarray, threshold: float) -> None:
    axes.plot(error_curve(position_TD, indices), color=CHUNK)
    axes.plot(indices, np.zeros(len(indices)), "o", color=EXECUTED, markersize=2.5, clip_on=False)
    axes.axhline(threshold, color=RECORDED, linestyle="--")
    axes.set(xlabel="frame", ylim=(0, None))
    axes.set_title(f"distance to the segments (threshold {threshold:g})")


def _events(columns: EpisodeColumns, rule: WaypointRule) -> list[int]:
    if not rule.gripper_dims:
        return []
    return gripper_events(columns.action_TA[:, list(rule.gripper_dims)], rule.gripper_atol)
