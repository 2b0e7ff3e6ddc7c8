"""The figure of an episode's plans: where the policy meant to go, over where the demonstrator went.

Shapes: T frames, M waypoints of a plan.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lerobot_plugins.evaluation.episodes import Episode, Run
from lerobot_plugins.evaluation.figures import CHUNK, EXECUTED, RECORDED, WIDTH
from lerobot_plugins.evaluation.plans import EpisodePlans

# Plans drawn per episode: their waypoints reach over one another.
DRAWN_PLANS = 6
MARK = "#cc79a7"


def plans_of(run: Run, episode: Episode) -> Figure:
    """Planned state dims over time: recorded, its waypoints, and some of the plans."""
    plans = episode.plans
    assert plans is not None, "an episode of a policy that plans"
    dims = [*plans.continuous_dims.tolist(), *plans.gripper_dims.tolist()]
    columns = 2 if len(dims) <= 8 else 3
    rows = -(-len(dims) // columns)
    figure = Figure(figsize=(WIDTH, 0.4 + 1.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for place, axes in enumerate(grid.T.flat):
        if place >= len(dims):
            axes.set_axis_off()
            continue
        dim = dims[place]
        _draw(axes, episode.timestamp_T, plans, dim, is_gripper=dim in plans.gripper_dims)
        name = run.state_names[dim] if run.state_names else f"state {dim}"
        axes.set_ylabel(f"{name} (open)" if dim in plans.gripper_dims else name)
    for axes in grid[-1]:
        axes.set_xlabel("time (s)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    return figure


def _draw(axes: Axes, time_T: np.ndarray, plans: EpisodePlans, dim: int, is_gripper: bool) -> None:
    """One dim; grippers in their unit, which is what is planned of them."""
    recorded_T = (plans.recorded_scaled_TS if is_gripper else plans.recorded_TS)[:, dim]
    axes.plot(time_T, recorded_T, color=RECORDED, lw=2.6, label="recorded")
    truth = plans.waypoint_W
    axes.plot(time_T[truth], recorded_T[truth], "|", color=MARK, markersize=7, label="its waypoints")
    label = "plans"
    for plan in _spread(len(plans.frame_P)):
        start, reached_M = plans.frame_P[plan], plans.planned[plan]
        frames_M = plans.times[plan][reached_M]
        inside_M = frames_M < len(time_T)
        times = time_T[[start, *frames_M[inside_M]]]
        values = [recorded_T[start], *plans.state_PMS[plan, reached_M, dim][inside_M]]
        axes.plot(times, values, color=CHUNK, lw=0.9, alpha=0.8, marker=".", markersize=3.5, label=label)
        axes.plot(time_T[start], recorded_T[start], ".", color=EXECUTED, markersize=5)
        label = "_nolegend_"
    if is_gripper:
        axes.set_ylim(-0.1, 1.1)


def _spread(count: int) -> list[int]:
    """Some of the plans, evenly over the episode."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, DRAWN_PLANS))})
