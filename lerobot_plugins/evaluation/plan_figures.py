"""The figure of an episode's plans: where the policy meant to go, over where the demonstrator went.

Shapes: T frames, K drawn plans, M waypoints of a plan.
"""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lerobot_plugins.evaluation.episodes import Episode, Run
from lerobot_plugins.evaluation.figures import RECORDED, WIDTH
from lerobot_plugins.evaluation.plans import EpisodePlans

# Plans drawn per episode: their waypoints reach over one another.
DRAWN_PLANS = 6
WAYPOINT = "#555555"
# Grippers of several plans lie this far apart; on one line the last would hide the others.
APART = 0.04


def plans_of(run: Run, episode: Episode) -> Figure:
    """Planned states over time: one panel per number, one row of its own per gripper."""
    plans = episode.plans
    assert plans is not None, "an episode of a policy that plans"
    numbers, grippers = plans.continuous_dims.tolist(), plans.gripper_dims.tolist()
    columns = 2 if len(numbers) <= 8 else 3
    rows = -(-len(numbers) // columns)
    heights = [1.25] * rows + [0.9] * len(grippers)
    figure = Figure(figsize=(WIDTH, 0.8 + sum(heights)), layout="constrained")
    # Numbers down each column, as actions are drawn; grippers below them, each over the whole width.
    padded = numbers + ["."] * (rows * columns - len(numbers))
    mosaic = [padded[row::rows] for row in range(rows)] + [[dim] * columns for dim in grippers]
    panels: dict[int | str, Axes] = figure.subplot_mosaic(mosaic, height_ratios=heights)
    for dim in numbers + grippers:
        _draw(panels[dim], plans, dim, episode.timestamp_T, 1 / run.fps)
        panels[dim].set_title(run.state_name(dim), pad=2)
    for place, dim in enumerate(numbers):
        in_last_row = place % rows == rows - 1
        lowest = in_last_row or dim == numbers[-1]
        panels[dim].tick_params(labelbottom=lowest)
        # Above an empty place labels have room; counting them would spread the rows unevenly.
        panels[dim].xaxis.set_in_layout(in_last_row)
        if lowest and not grippers:
            panels[dim].set_xlabel("time (s)")
    if grippers:
        panels[grippers[-1]].set_xlabel("time (s)")
    handles, labels = panels[numbers[0]].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(handles))
    return figure


def _draw(axes: Axes, plans: EpisodePlans, dim: int, seconds_T: np.ndarray, step: float) -> None:
    """One dim; grippers in their unit, which is what is planned of them."""
    is_gripper = dim in plans.gripper_dims
    recorded_T = (plans.recorded_scaled_TS if is_gripper else plans.recorded_TS)[:, dim]
    planned_PM = (plans.scaled_PMS if is_gripper else plans.state_PMS)[..., dim]
    drawn_K = _spread(len(plans.frame_P))
    # A planned gripper moves at its waypoint, not on the way there.
    style = "steps-post" if is_gripper else "default"
    axes.plot(seconds_T, recorded_T, color=RECORDED, lw=2.8, drawstyle=style, label="recorded")
    for k, plan in enumerate(drawn_K):
        frame, color = plans.frame_P[plan], mpl.colormaps["viridis"](0.85 * k / max(1, len(drawn_K) - 1))
        planned_M = plans.planned[plan]
        times = seconds_T[frame] + step * np.array([0, *(plans.times[plan][planned_M] - frame)])
        values = np.array([recorded_T[frame], *planned_PM[plan][planned_M]])
        if is_gripper:
            values = values + APART * (k - (len(drawn_K) - 1) / 2)
        label = "plans, dark to light in time" if k == len(drawn_K) // 2 else "_nolegend_"
        axes.plot(times, values, color=color, lw=1.1, drawstyle=style, marker=".", ms=4, label=label)
        axes.plot(times[0], values[0], "o", color=color, ms=5.5, mec="white", mew=0.8)
    truth = plans.waypoint_W
    axes.plot(
        seconds_T[truth], recorded_T[truth], "x", color=WAYPOINT, ms=4.5, mew=0.9, label="true waypoints"
    )
    # What lies behind the episode's end has nothing to be compared with: a line leaves the picture.
    axes.set_xlim(seconds_T[0] - step, seconds_T[-1] + step)
    if is_gripper:
        axes.set(ylim=(-0.3, 1.3), yticks=[0, 1], yticklabels=["closed", "open"])


def _spread(count: int) -> list[int]:
    """Some of the plans, evenly over the episode."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, DRAWN_PLANS))})
