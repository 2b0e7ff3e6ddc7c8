"""Plans of known errors against numbers worked out by hand; chunks of their own length."""

import json
from dataclasses import replace

import numpy as np
import pytest
from plan_episodes import episode_with, plans_of
from replay_episodes import make_episode, make_run, skip_figures

from lerobot_plugins.cli.main import main
from lerobot_plugins.evaluation.episodes import load_episodes, save_episode, save_run
from lerobot_plugins.evaluation.metrics import compute
from lerobot_plugins.evaluation.plan_metrics import plan_metrics
from lerobot_plugins.evaluation.report import write_report
from lerobot_plugins.evaluation.summary import summary


def scored(*plans: tuple[int, list[tuple[float, int, int]]]) -> dict:
    run = make_run([0], state_names=["x", "y", "width"])
    return plan_metrics(run, [episode_with(plans_of(*plans))])


def test_a_perfect_plan():
    found = scored((1, [(0.3, 1, 2), (0.7, 0, 4), (1.1, 0, 4), (0.0, 0, 0)]))
    assert (found["plans"], found["slots"], found["rows"]) == (1, 4, 3)
    assert found["duration"] == {"mae": 0, "exact": 1, "within_one": 1}
    assert found["raw"]["mae"] == pytest.approx(0, abs=1e-6)
    assert found["gripper_agreement"] == 1
    assert found["per_gripper"] == [{"name": "width", "agreement": 1}]
    assert found["end"] == {
        "plans": 1,
        "true": 1,
        "planned": 1,
        "agreement": 1,
        "recall": 1,
        "precision": 1,
        "same_slot": 1,
    }
    assert found["non_finite"] == {"plans": 0, "values": 0}
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
    assert (found["end"]["true"], found["end"]["planned"], found["end"]["agreement"]) == (0, 0, 1)
    assert np.isnan([found["end"][name] for name in ("recall", "precision", "same_slot")]).all(), "of nothing"


def test_holding_still_is_the_measure():
    """At frame 1 the robot is at 0.1 with its gripper open; the waypoints are at 0.3 and 0.7, then closed."""
    hold = scored((1, [(9.0, 0, 1), (9.0, 0, 1)]))["hold"]
    assert hold["raw"]["mae"] == pytest.approx((0.2 + 0.6) / 2)
    assert hold["normalized"]["mae"] == pytest.approx(0.8)
    assert hold["gripper_agreement"] == 0.5


def test_ends_of_plans():
    """Said too early, not said, said in another slot, and from a last frame, where nothing is left to say."""
    gone = [(0.0, 0, 0)] * 3
    early, missed = (0, [(0.3, 1, 3), *gone[:2]]), (7, [(1.1, 0, 4), (1.2, 0, 1), (1.3, 0, 1)])
    elsewhere, last = (3, [(0.7, 0, 4), *gone[:2]]), (11, gone)
    end = scored(early, missed, elsewhere, last)["end"]
    assert end == {
        "plans": 3,
        "true": 2,
        "planned": 2,
        "agreement": 1 / 3,
        "recall": 0.5,
        "precision": 0.5,
        "same_slot": 0,
    }


def test_what_is_behind_an_end_is_not_compared():
    """A plan that ends early, one that goes on behind the episode's end, one made at the last frame."""
    early = scored((0, [(0.3, 1, 3), (0.5, 0, 0), (9.0, 0, 4)]))
    assert (early["rows"], early["end"]["precision"]) == (1, 0)
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
    assert found["per_dim"][0]["name"] == "state 0", "the dataset names nothing"


def test_values_that_are_not_finite_are_not_known():
    gone = float("nan")
    found = scored((0, [(gone, 1, 3), (0.7, 0, 4), (gone, gone, 0)]))
    assert np.isnan(found["raw"]["mae"])
    assert found["duration"]["mae"] == 0
    assert found["per_slot"][1]["raw"]["mae"] == pytest.approx(0, abs=1e-6)
    assert found["non_finite"] == {"plans": 1, "values": 1}, "behind its end a plan has none"


def test_they_are_a_finding(tmp_path, capsys, monkeypatch):
    skip_figures(monkeypatch)
    save_run(tmp_path, make_run([0]))
    save_episode(tmp_path, episode_with(plans_of((0, [(float("nan"), 1, 3), (0.7, 0, 4)]))))
    assert main(["report", str(tmp_path)]) == 1
    assert "Non-finite plans: 1 values in 1 plans." in capsys.readouterr().out
    assert json.loads((tmp_path / "metrics.json").read_text())["plan"]["raw"]["mae"] is None


def test_planners_are_compared(tmp_path, capsys, monkeypatch):
    skip_figures(monkeypatch)
    for name, plans in (("planner", plans_of((0, [(0.4, 1, 5)]))), ("other", None)):
        save_run(tmp_path / name, make_run([0]))
        save_episode(tmp_path / name, episode_with(plans))
    assert main(["report", str(tmp_path / "planner"), str(tmp_path / "other")]) == 0
    header, _, planner, other = capsys.readouterr().out.splitlines()[:4]
    assert header.endswith("plan frames off  plan mae norm")
    assert planner.split()[-2:] == ["2", "0.2"]
    assert other.split()[-2:] == ["–", "–"]
    main(["report", *[str(tmp_path / "other")] * 2])
    assert "plan" not in capsys.readouterr().out.splitlines()[0]


def test_a_planner_without_grippers(tmp_path):
    plans = replace(plans_of((0, [(0.3, 1, 3)])), gripper_dims=np.zeros(0, np.int64))
    save_run(tmp_path, make_run([0]))
    save_episode(tmp_path, episode_with(plans))
    metrics = write_report(tmp_path)
    assert (metrics["plan"]["gripper_agreement"], metrics["plan"]["per_gripper"]) == (None, [])
    assert "plan gripper" not in summary(metrics)


def test_policies_without_plans_have_none():
    metrics = compute(make_run([0]), [episode_with(None)])
    assert metrics["plan"] is None
    assert "plan" not in summary(metrics)


def test_plans_are_kept_on_disk(tmp_path, capsys):
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
    assert main(["report", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for text in ("plan durations:", "(hold ", "plan gripper:", "1 planned, 0.0 % of them in reach"):
        assert text in printed
    assert json.loads((tmp_path / "metrics.json").read_text())["plan"]["plans"] == 2


# Chunks of their own length.


def test_steps_behind_a_chunks_length_count_nowhere():
    episode, run = make_episode(0, 8, horizon=4, replan=4), make_run([0])
    whole = compute(run, [episode])
    episode.chunk_length_C = np.array([4, 2])
    episode.chunk_CHA[1, 2:] = np.nan
    part = compute(run, [episode])
    assert (whole["counts"]["chunk_steps"], part["counts"]["chunk_steps"]) == (8, 6)
    assert "2 of 4 steps" in summary(whole)
    assert "2 of 3.0 steps on average, at most 4" in summary(part)
    assert [entry["support"] for entry in whole["chunk"]["per_horizon"]] == [2, 2, 2, 2]
    assert [entry["support"] for entry in part["chunk"]["per_horizon"]] == [2, 2, 1, 1]
    assert part["chunk"]["raw"]["mae"] == part["chunk"]["raw"]["mae"], "known"
    assert part["counts"]["non_finite"]["chunk_values"] == 0


def test_their_lengths_are_kept_on_disk(tmp_path):
    """A file that does not know of lengths has chunks that are whole."""
    episode, run = make_episode(0, 8, horizon=4, replan=4), make_run([0])
    save_run(tmp_path, run)
    save_episode(tmp_path, episode)
    with np.load(tmp_path / "episodes/episode_000000.npz") as stored:
        assert not [name for name in stored if name == "chunk_length_C" or name.startswith("plan_")]
    assert load_episodes(tmp_path, run)[0].chunk_lengths.tolist() == [4, 4]
    episode.chunk_length_C = np.array([4, 2])
    episode.chunk_CHA[1, 2:] = np.nan
    save_episode(tmp_path, episode)
    assert load_episodes(tmp_path, run)[0].chunk_lengths.tolist() == [4, 2]
    write_report(tmp_path)
