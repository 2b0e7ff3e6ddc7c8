"""Plans in the report: what is drawn and written."""

import numpy as np
import pytest
from plan_episodes import FRAMES, episode_with, plans_of
from replay_episodes import make_run

from lerobot_plugins.evaluation import plan_figures
from lerobot_plugins.evaluation.figures import house_style, to_svg
from lerobot_plugins.evaluation.metrics import compute
from lerobot_plugins.evaluation.plans import EpisodePlans
from lerobot_plugins.evaluation.sections import report_page


def test_the_page_says_how_good_plans_are():
    run = make_run([0, 1], state_names=["x", "y", "width"])
    plans = plans_of((0, [(0.3, 1, 3), (0.9, 1, 3)]), (3, [(0.7, 0, 4), (0.0, 0, 0)]))
    episodes = [episode_with(plans), episode_with(None, 1)]
    with house_style():
        page = report_page(run, episodes, compute(run, episodes))
    for text in ("<h2>Plans</h2>", "plan durations", "<figcaption>Episode 0: plans over the rec"):
        assert page.count(text) == 1
    assert "Episode 1: plans" not in page
    assert "<td>width</td><td></td><td></td><td></td><td>66.7 %</td>" in page


def test_the_figure_draws_every_planned_dim():
    plans = plans_of(*[(frame, [(0.3, 1, 3), (0.7, 0, 40)]) for frame in range(8)])
    run = make_run([0], state_names=["x", "y", "width"])
    with house_style():
        figure = plan_figures.plans_of(run, episode_with(plans))
        assert to_svg(figure).startswith("<?xml")
    number, gripper = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["x", "width"]
    assert gripper.get_position().width > 1.5 * number.get_position().width, "a row of its own"
    drawn = {axes: [line for line in axes.lines if line.get_marker() == "."] for axes in figure.axes}
    assert [len(lines) for lines in drawn.values()] == [plan_figures.DRAWN_PLANS] * 2
    first = drawn[number][0]
    assert first.get_xdata().tolist() == pytest.approx([0, 0.3, 4.3]), "from its frame to its waypoints"
    assert first.get_ydata().tolist() == pytest.approx([0, 0.3, 0.7])
    assert number.get_xlim()[1] < 1.3, "the episode alone"
    assert drawn[gripper][0].get_drawstyle() == "steps-post"
    assert [round(float(y)) for y in drawn[gripper][0].get_ydata()] == [1, 1, 0], "open or closed, not raw"


@pytest.mark.parametrize(("numbers", "grippers"), [(1, 0), (3, 0), (12, 2)])
def test_any_number_of_dims_has_a_place(numbers, grippers):
    dims = numbers + grippers
    zero_TS = np.zeros((FRAMES, dims), np.float32)
    plans = EpisodePlans(
        frame_P=np.array([3]),
        duration_PM=np.array([[2, 0]]),
        state_PMS=np.zeros((1, 2, dims), np.float32),
        scaled_PMS=np.zeros((1, 2, dims), np.float32),
        recorded_TS=zero_TS,
        recorded_scaled_TS=zero_TS,
        continuous_dims=np.arange(numbers),
        gripper_dims=np.arange(numbers, dims),
        waypoint_W=np.array([0, FRAMES - 1]),
    )
    with house_style():
        figure = plan_figures.plans_of(make_run([0]), episode_with(plans))
        to_svg(figure)
    assert len(figure.axes) == dims
    labelled = [axes for axes in figure.axes if axes.get_xlabel() == "time (s)"]
    assert len(labelled) == (1 if grippers or numbers == 1 else 2)
