"""Plans of known errors against numbers worked out by hand.

Shapes: P plans, M slots, S state dimensions.
"""

import json

import numpy as np
import pytest
from replay_episodes import make_episode, make_run

from lerobot_plugins.evaluation import plan_figures
from lerobot_plugins.evaluation.episodes import Episode, load_episodes, save_episode, save_run
from lerobot_plugins.evaluation.figures import house_style, to_svg
from lerobot_plugins.evaluation.metrics import compute
from lerobot_plugins.evaluation.plan_metrics import plan_metrics
from lerobot_plugins.evaluation.plans import EpisodePlans
from lerobot_plugins.evaluation.report import write_report
from lerobot_plugins.evaluation.summary import summary

FRAMES, WAYPOINTS = 12, [0, 3, 7, 11]
# State: x = frame / 10, ignored, gripper width (open up to frame 5). The policy's units are doubled.
RECORDED = np.column_stack(
    [np.arange(FRAMES) / 10, np.zeros(FRAMES), np.where(np.arange(FRAMES) < 6, 0.04, 0)]
)
SCALED = np.column_stack([RECORDED[:, 0] * 2, np.zeros(FRAMES), RECORDED[:, 2] > 0.02])


def plans_of(*plans: tuple[int, list[tuple[float, int, int]]]) -> EpisodePlans:
    """Plans given as (frame, [(x, gripper, duration), ...])."""
    state = np.full((len(plans), len(plans[0][1]), 3), np.nan, np.float32)
    duration = np.zeros(state.shape[:2], np.int64)
    for p, (_, slots) in enumerate(plans):
        for m, (x, gripper, steps) in enumerate(slots):
            state[p, m, 0], state[p, m, 2], duration[p, m] = x, gripper, steps
    scaled = state.copy()
    scaled[..., 0] *= 2
    return EpisodePlans(
        frame_P=np.array([frame for frame, _ in plans]),
        duration_PM=duration,
        state_PMS=state,
        scaled_PMS=scaled,
        recorded_TS=RECORDED.astype(np.float32),
        recorded_scaled_TS=SCALED.astype(np.float32),
        continuous_dims=np.array([0]),
        gripper_dims=np.array([2]),
        waypoint_W=np.array(WAYPOINTS),
    )


def episode_with(plans: EpisodePlans | None, index: int = 0) -> Episode:
    episode = make_episode(index, FRAMES)
    episode.plans = plans
    return episode


def scored(*plans: tuple[int, list[tuple[float, int, int]]]) -> dict:
    run = make_run([0], state_names=["x", "y", "width"])
    return plan_metrics(run, [episode_with(plans_of(*plans))])


def test_a_perfect_plan():
    found = scored((1, [(0.3, 1, 2), (0.7, 0, 4), (1.1, 0, 4), (0.0, 0, 0)]))
    assert (found["plans"], found["slots"], found["rows"]) == (1, 4, 3)
    assert found["duration"] == {"mae": 0, "exact": 1, "within_one": 1}
    assert found["raw"]["mae"] == pytest.approx(0, abs=1e-6)
    assert found["gripper_agreement"] == 1
    assert found["end"] == {"true": 1, "planned": 1, "recall": 1, "precision": 1}
    assert found["on_time"]["normalized"]["mae"] == pytest.approx(0, abs=1e-6)
    assert [slot["rows"] for slot in found["per_slot"]] == [1, 1, 1, 0]
    assert found["per_slot"][3]["duration"]["mae"] != found["per_slot"][3]["duration"]["mae"], "of nothing"


def test_errors_are_those_of_their_slots():
    """The second waypoint is a frame early, 0.2 too far and has its gripper wrong."""
    found = scored((1, [(0.3, 1, 2), (0.9, 1, 3)]))
    assert found["duration"] == {"mae": 0.5, "exact": 0.5, "within_one": 1}
    assert found["raw"]["mae"] == pytest.approx(0.1)
    assert found["normalized"]["mae"] == pytest.approx(0.2), "in the policy's units"
    assert found["gripper_agreement"] == 0.5
    assert [slot["raw"]["mae"] for slot in found["per_slot"]] == pytest.approx([0, 0.2], abs=1e-6)
    assert [dim["name"] for dim in found["per_dim"]] == ["x"]
    # At frame 1 + 2 + 3 the demonstrator was at 0.6.
    assert found["on_time"]["raw"]["mae"] == pytest.approx(0.15)
    assert found["end"] == {"true": 0, "planned": 0, "recall": pytest.approx(np.nan, nan_ok=True)} | {
        "precision": pytest.approx(np.nan, nan_ok=True)
    }


def test_what_is_behind_an_end_is_not_compared():
    """A plan that ends early, one that goes on behind the episode's end, one made at the last frame."""
    early = scored((0, [(0.3, 1, 3), (0.5, 0, 0), (9.0, 0, 4)]))
    assert early["rows"] == 1
    assert early["end"]["precision"] == 0
    late = scored((7, [(1.1, 0, 4), (1.5, 0, 4), (1.9, 0, 4)]))
    assert (late["rows"], late["on_time"]["rows"]) == (1, 1)
    assert late["end"]["recall"] == 0
    assert scored((11, [(1.1, 0, 2)]))["rows"] == 0


def test_several_plans_and_episodes_are_pooled():
    run = make_run([0, 1])
    right = plans_of((0, [(0.3, 1, 3)]), (3, [(0.7, 0, 4)]))
    wrong = plans_of((0, [(0.3, 1, 5)]))
    found = plan_metrics(run, [episode_with(right), episode_with(wrong, 1)])
    assert (found["plans"], found["rows"]) == (3, 3)
    assert found["duration"]["mae"] == pytest.approx(2 / 3)
    assert found["per_dim"][0]["name"] == "state_0", "the dataset names nothing"


def test_values_that_are_not_finite_are_not_known():
    plan = (0, [(float("nan"), 1, 3), (0.7, 0, 4)])
    found = scored(plan)
    assert np.isnan(found["raw"]["mae"])
    assert found["duration"]["mae"] == 0
    assert found["per_slot"][1]["raw"]["mae"] == pytest.approx(0, abs=1e-6)


def test_policies_without_plans_have_none():
    metrics = compute(make_run([0]), [episode_with(None)])
    assert metrics["plan"] is None
    assert "plan" not in summary(metrics)


def test_plans_are_kept_on_disk(tmp_path):
    """A report is rebuilt without dataset and policy; older files have none."""
    run = make_run([0, 1], state_names=["x", "y", "width"])
    plans = plans_of((0, [(0.3, 1, 3), (0.9, 1, 3)]), (3, [(0.7, 0, 4), (0.0, 0, 0)]))
    save_run(tmp_path, run)
    save_episode(tmp_path, episode_with(plans))
    save_episode(tmp_path, episode_with(None, 1))
    loaded = load_episodes(tmp_path, run)
    assert loaded[1].plans is None
    for name, value in vars(plans).items():
        assert np.array_equal(getattr(loaded[0].plans, name), value, equal_nan=value.dtype.kind == "f"), name
    metrics = write_report(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["plan"]["plans"] == 2
    assert "plan durations" in summary(metrics)
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Plans</h2>" in page
    assert "some of its plans" in page


def test_the_figure_draws_every_planned_dim():
    plans = plans_of(*[(frame, [(0.3, 1, 3), (0.7, 0, 40)]) for frame in range(8)])
    run = make_run([0], state_names=["x", "y", "width"])
    with house_style():
        figure = plan_figures.plans_of(run, episode_with(plans))
        assert to_svg(figure).startswith("<?xml")
    drawn = [axes.get_ylabel() for axes in figure.axes if axes.axison]
    assert drawn == ["x", "width (open)"]
    first = figure.axes[0]
    lines = [line for line in first.lines if line.get_marker() == "." and len(line.get_xdata()) > 1]
    assert len(lines) == plan_figures.DRAWN_PLANS
    assert lines[0].get_xdata().tolist() == pytest.approx([0, 0.3]), "what is behind the end is left out"


# Chunks of their own length.


def test_steps_behind_a_chunks_length_count_nowhere():
    episode, run = make_episode(0, 8, horizon=4, replan=4), make_run([0])
    whole = compute(run, [episode])
    episode.chunk_length_C = np.array([4, 2])
    episode.chunk_CHA[1, 2:] = np.nan
    part = compute(run, [episode])
    assert [entry["support"] for entry in whole["chunk"]["per_horizon"]] == [2, 2, 2, 2]
    assert [entry["support"] for entry in part["chunk"]["per_horizon"]] == [2, 2, 1, 1]
    assert part["chunk"]["raw"]["mae"] == part["chunk"]["raw"]["mae"], "known"
    assert part["counts"]["non_finite"]["chunk_values"] == 0


def test_their_lengths_are_kept_on_disk(tmp_path):
    episode, run = make_episode(0, 8, horizon=4, replan=4), make_run([0])
    save_run(tmp_path, run)
    save_episode(tmp_path, episode)
    assert load_episodes(tmp_path, run)[0].chunk_lengths.tolist() == [4, 4]
    episode.chunk_length_C = np.array([4, 2])
    save_episode(tmp_path, episode)
    assert load_episodes(tmp_path, run)[0].chunk_lengths.tolist() == [4, 2]
