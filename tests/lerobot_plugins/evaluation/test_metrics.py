"""metrics.json from hand-made episodes."""

import dataclasses
import json

import numpy as np
import pytest
from replay_episodes import make_episode, make_run

from lerobot_plugins.evaluation.files import to_json
from lerobot_plugins.evaluation.metrics import compute
from lerobot_plugins.evaluation.rows import chunk_rows


def test_a_perfect_policy_has_no_error():
    metrics = compute(make_run([0, 1]), [make_episode(0, 6), make_episode(1, 4)])
    for name in ("executed", "chunk"):
        block = metrics[name]
        assert set(block["raw"].values()) == set(block["normalized"].values()) == {0.0}
        assert all(values == {"exact": 1.0, "within_one": 1.0} for values in block["bins"].values())
        assert block["gripper"]["agreement"] == 1
        assert block["smoothness"]["predicted"] == block["smoothness"]["recorded"]
    assert metrics["lerobot_eval"] == {"avg_sum_reward": 0, "pc_success": 100, "tolerance": 0.1}
    assert metrics["complete"]


def test_a_known_offset_in_every_number():
    """0.1 normalised on two of three varying dimensions; the fourth dimension is constant."""
    episodes = [make_episode(index, length, offset=[0.1, 0.2, 0, 0]) for index, length in ((0, 6), (1, 4))]
    metrics = compute(make_run([0, 1]), episodes)
    executed = metrics["executed"]
    assert executed["raw"]["mae"] == pytest.approx(0.3 / 4)
    assert executed["raw"]["mse"] == pytest.approx(0.05 / 4)
    assert executed["raw"]["l2"] == pytest.approx(np.sqrt(0.05))
    assert executed["raw"]["max_abs"] == pytest.approx(0.2)
    # The ranges are [-1, 1], [-2, 2], [-1, 1].
    assert executed["normalized"]["mae"] == pytest.approx(0.2 / 3)
    assert metrics["dataset"]["constant_dims"] == ["fixed"]
    per_dim = {dim["name"]: dim for dim in executed["per_dim"]}
    assert per_dim["y"]["raw"]["mae"] == pytest.approx(0.2)
    assert per_dim["y"]["normalized"]["mae"] == pytest.approx(0.1)
    assert per_dim["fixed"]["normalized"] is None
    assert metrics["lerobot_eval"]["avg_sum_reward"] == pytest.approx(-0.3 / 4)


def test_episodes_tasks_and_their_weights():
    """Frames weigh alike in the block, episodes weigh alike in LeRobot's average."""
    episodes = [make_episode(3, 6, offset=0.4), make_episode(0, 2)]
    metrics = compute(make_run([3, 0]), episodes)
    per_episode = metrics["executed"]["per_episode"]
    assert [(entry["episode_index"], entry["rows"], entry["success"]) for entry in per_episode] == [
        (0, 2, True),
        (3, 6, False),
    ]
    assert [entry["task"] for entry in metrics["executed"]["per_task"]] == ["task 0", "task 1"]
    assert metrics["executed"]["raw"]["mae"] == pytest.approx(0.4 * 6 / 8)
    assert metrics["lerobot_eval"]["avg_sum_reward"] == pytest.approx(-0.2)
    assert metrics["lerobot_eval"]["pc_success"] == 50


def test_chunks_are_masked_past_the_end_and_counted_per_step():
    episode = make_episode(0, 5, horizon=4, replan=2)
    rows = chunk_rows([episode])
    assert rows.target_N.tolist() == [0, 1, 2, 3, 2, 3, 4, 4]
    assert rows.origin_N.tolist() == [0, 0, 0, 0, 2, 2, 2, 4]
    per_horizon = compute(make_run([0]), [episode])["chunk"]["per_horizon"]
    assert [(entry["step"], entry["support"]) for entry in per_horizon] == [(0, 3), (1, 2), (2, 2), (3, 1)]
    assert all(entry["raw"]["mae"] == 0 for entry in per_horizon)


def test_baselines_on_the_same_rows():
    # Recorded x is 0, .1, .2, ...; the state used by hold is the action minus 0.05.
    episode = make_episode(0, 5, horizon=3, replan=2)
    baselines = compute(make_run([0]), [episode])["baselines"]
    x = {name: baseline["executed"]["raw"] for name, baseline in baselines.items()}
    assert x["hold"]["mae"] == pytest.approx(0.05)
    assert baselines["repeat_previous"]["executed"]["rows"] == 4
    step = abs(np.diff(episode.recorded_TA, axis=0)).mean()
    assert x["repeat_previous"]["mae"] == pytest.approx(step)
    assert x["dataset_mean"]["mae"] == pytest.approx(abs(episode.recorded_TA).mean())
    ahead = baselines["hold"]["chunk"]["per_horizon"]
    assert [entry["support"] for entry in ahead] == [3, 2, 2]
    expected = [abs(episode.recorded_TA[[0, 2]] - 0.05 - episode.recorded_TA[[2, 4]]).mean()]
    assert [ahead[2]["raw"]["mae"]] == pytest.approx(expected)


def test_hold_needs_a_state_in_the_units_of_the_action():
    episode = dataclasses.replace(make_episode(0, 5), hold_TA=None)
    run = make_run([0], hold_reason="the dataset has no observation.state")
    hold = compute(run, [episode])["baselines"]["hold"]
    assert hold == {"executed": None, "chunk": None, "reason": "the dataset has no observation.state"}


def test_a_policy_without_chunks():
    metrics = compute(make_run([0]), [make_episode(0, 5, horizon=0)])
    assert metrics["chunk"] is None
    assert metrics["counts"]["horizon"] is None
    assert metrics["baselines"]["hold"]["chunk"] is None
    assert any("publishes no action chunks" in warning for warning in metrics["warnings"])


def test_non_finite_predictions_are_counted_and_make_null():
    good, bad = make_episode(0, 5), make_episode(1, 5)
    bad.predicted_TA[2, 1] = np.nan
    bad.chunk_CHA[1, 0, :2] = np.nan
    metrics = json.loads(to_json(compute(make_run([0, 1]), [good, bad])))
    assert metrics["counts"]["non_finite"] == {
        "executed_frames": 1,
        "executed_values": 1,
        "chunks": 1,
        "chunk_values": 2,
    }
    executed = metrics["executed"]
    assert executed["raw"]["mae"] is None
    assert executed["bins"]["8"]["exact"] is None
    assert executed["out_of_range_fraction"]["predicted"] is None
    assert [entry["raw"]["mae"] for entry in executed["per_episode"]] == [0, None]
    assert [dim["raw"]["mae"] for dim in executed["per_dim"]] == [0, None, 0, 0]
    assert metrics["chunk"]["per_horizon"][0]["raw"]["mae"] is None
    assert metrics["chunk"]["per_horizon"][1]["raw"]["mae"] == 0
    assert metrics["lerobot_eval"]["avg_sum_reward"] is None
    assert metrics["lerobot_eval"]["pc_success"] == 50
    assert any("Non-finite predictions" in warning for warning in metrics["warnings"])


def test_an_interrupted_evaluation_says_so():
    metrics = compute(make_run([0, 1, 2]), [make_episode(0, 5)])
    assert not metrics["complete"]
    assert "Incomplete: 1 of 3" in metrics["warnings"][0]
    nothing = compute(make_run([0]), [])
    assert (nothing["executed"], nothing["baselines"], nothing["complete"]) == (None, None, False)


def test_a_chunk_that_is_not_what_was_executed_earns_a_warning():
    episode = make_episode(0, 5)
    episode.chunk_CHA += 0.5
    assert any("first step differs" in warning for warning in compute(make_run([0]), [episode])["warnings"])


def test_the_order_of_the_episodes_does_not_change_the_numbers():
    one, two = make_episode(0, 5, offset=0.1), make_episode(1, 7, offset=-0.3)
    forward, backward = compute(make_run([0, 1]), [one, two]), compute(make_run([1, 0]), [two, one])
    forward["dataset"].pop("episodes")
    backward["dataset"].pop("episodes")
    assert to_json(forward) == to_json(backward)
