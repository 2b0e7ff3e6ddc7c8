"""Stock rollouts of a policy that plans: known errors become the report's numbers."""

import json
import shutil

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from replay_plans import PlanningPolicy, recorded_states
from replay_policies import evaluate

from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError

pytestmark = pytest.mark.usefixtures("without_figures")

# Rows plan at different steps of a rollout; two plans are made at an episode's last frame.
FRAMES = [[0, 2, 4, 6], [0, 3], [0, 5]]
# (episode, frame of the plan, slot, frame of the true waypoint) of all compared slots.
COMPARED = [
    *((0, 0, 0, 3), (0, 0, 1, 6), (0, 2, 0, 3), (0, 2, 1, 6), (0, 4, 0, 6)),
    *((1, 0, 0, 2), (1, 0, 1, 3)),
    *((2, 0, 0, 4), (2, 0, 1, 8), (2, 5, 0, 8)),
]
# (episode, slot, frame of the true waypoint, planned frame), where that lies inside the episode.
ON_TIME = [(0, 0, 3, 4), (0, 0, 3, 4), (1, 0, 2, 3), (2, 0, 4, 5)]
X_ERROR = (0.1, 0.3)


@pytest.fixture(scope="module")
def states(root):
    return recorded_states(LeRobotDataset("local/replay", root=root, video_backend="pyav"))


@pytest.fixture
def policy(recorded, states):
    return PlanningPolicy(recorded, states, FRAMES, endless=((2, 5),))


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_known_errors_become_the_reports_numbers(root, policy, states, tmp_path):
    evaluate(policy, root, batch_size=2, n_episodes=4, report_dir=tmp_path)
    plan = metrics_of(tmp_path)["plan"]
    assert (plan["plans"], plan["slots"], plan["rows"]) == (8, 3, 10)
    assert plan["duration"] == {"mae": 0.6, "exact": 0.4, "within_one": 1}
    # Six first waypoints, four second ones, two dims of which y is right.
    assert plan["raw"]["mae"] == pytest.approx((6 * 0.1 + 4 * 0.3) / 20, abs=1e-6)
    assert plan["normalized"]["mae"] == pytest.approx(plan["raw"]["mae"] / 2, abs=1e-6)
    assert [dim["name"] for dim in plan["per_dim"]] == ["x", "y"]
    assert [dim["raw"]["mae"] for dim in plan["per_dim"]] == pytest.approx([0.18, 0], abs=1e-6)
    assert [slot["rows"] for slot in plan["per_slot"]] == [6, 4, 0]
    assert [slot["duration"]["mae"] for slot in plan["per_slot"]] == [1, 0, None]
    assert [slot["raw"]["max_abs"] for slot in plan["per_slot"][:2]] == pytest.approx([0.1, 0.3], abs=1e-6)
    is_open = [states[episode][frame, 2] > 0 for episode, _, _, frame in COMPARED]
    assert plan["gripper_agreement"] == pytest.approx(np.mean(is_open))
    assert plan["per_gripper"] == [{"name": "gripper", "agreement": plan["gripper_agreement"]}]
    assert plan["end"] == {
        "plans": 6,
        "true": 6,
        "planned": 5,
        "agreement": 5 / 6,
        "recall": 5 / 6,
        "precision": 1,
        "same_slot": 1,
    }
    assert plan["non_finite"] == {"plans": 0, "values": 0}


def test_on_time_and_holding_still(root, policy, states, tmp_path):
    evaluate(policy, root, report_dir=tmp_path)
    plan = metrics_of(tmp_path)["plan"]
    planned = [
        states[e][true, :2] + [X_ERROR[slot], 0] - states[e][time, :2] for e, slot, true, time in ON_TIME
    ]
    assert plan["on_time"]["rows"] == len(ON_TIME)
    assert plan["on_time"]["raw"]["mae"] == pytest.approx(abs(np.array(planned)).mean(), abs=1e-6)
    held = [states[episode][start] - states[episode][true] for episode, start, _, true in COMPARED]
    assert plan["hold"]["raw"]["mae"] == pytest.approx(abs(np.array(held)[:, :2]).mean(), abs=1e-6)
    same = [(states[e][start, 2] > 0) == (states[e][true, 2] > 0) for e, start, _, true in COMPARED]
    assert plan["hold"]["gripper_agreement"] == pytest.approx(np.mean(same))


def test_the_batch_size_does_not_change_them(root, policy, tmp_path):
    for batch_size in (1, 2, 3):
        evaluate(policy, root, batch_size=batch_size, n_episodes=4, report_dir=tmp_path / str(batch_size))
    assert metrics_of(tmp_path / "1") == metrics_of(tmp_path / "2") == metrics_of(tmp_path / "3")


def test_chunks_as_long_as_their_segment(root, policy, tmp_path):
    """Their other steps hold 99: nothing of them is kept, scored or drawn."""
    info = evaluate(policy, root, report_dir=tmp_path / "report", videos_dir=tmp_path / "videos")
    metrics = metrics_of(tmp_path / "report")
    assert (metrics["counts"]["chunks"], metrics["counts"]["horizon"]) == (8, 3)
    # First durations + 1, at most the horizon; a plan without a waypoint has one step.
    lengths = [3, 2, 3, 1, 3, 1, 3, 3]
    assert metrics["counts"]["chunk_steps"] == sum(lengths)
    assert [step["support"] for step in metrics["chunk"]["per_horizon"]] == [8, 6, 5]
    assert metrics["chunk"]["raw"]["mae"] == 0
    with np.load(tmp_path / "report/episodes/episode_000000.npz") as stored:
        assert stored["chunk_length_C"].tolist() == lengths[:4]
        assert stored["chunk_CHA"].shape == (4, 3, 4)
        assert np.nanmax(stored["chunk_CHA"]) < 99
    assert len(info["overall"]["video_paths"]) == 3


def test_a_report_is_rebuilt_from_its_files(root, recorded, states, tmp_path, capsys):
    """Without dataset and policy; the folder may have moved."""
    copy = shutil.copytree(root, tmp_path / "data")
    policy = PlanningPolicy(recorded, states, FRAMES)
    evaluate(policy, copy, report_dir=tmp_path / "report")
    before = metrics_of(tmp_path / "report")
    shutil.rmtree(copy)
    moved = (tmp_path / "report").rename(tmp_path / "moved")
    (moved / "metrics.json").unlink()
    assert main(["report", str(moved)]) == 0
    assert metrics_of(moved) == before
    assert "plan durations:" in capsys.readouterr().out


def test_plans_that_are_not_finite_are_counted_not_averaged(root, recorded, states, tmp_path):
    spoiled = [values.copy() for values in states]
    spoiled[0][3, 0] = np.inf
    evaluate(PlanningPolicy(recorded, spoiled, FRAMES), root, report_dir=tmp_path)
    metrics = metrics_of(tmp_path)
    assert metrics["plan"]["non_finite"] == {"plans": 2, "values": 2}
    x, y = metrics["plan"]["per_dim"]
    assert (x["raw"]["mae"], metrics["plan"]["raw"]["mae"]) == (None, None)
    assert y["raw"]["mae"] == pytest.approx(0, abs=1e-6)
    assert any("Non-finite plans: 2 values in 2 plans" in warning for warning in metrics["warnings"])
    assert main(["report", str(tmp_path)]) == 1


def test_plans_in_unknown_units_are_an_error_at_once(root, recorded, states, tmp_path):
    policy = PlanningPolicy(recorded, states, FRAMES, state_map=None)
    with pytest.raises(ZooError, match="publish_state_map"):
        evaluate(policy, root, report_dir=tmp_path)
    assert len(policy.seen) == 1, "not when the episode is over"


def test_plans_of_another_width_are_an_error_at_once(root, policy, tmp_path):
    narrow = policy.plan

    def wide(episode, frame):
        plan = narrow(episode, frame)
        return type(plan)(np.zeros((3, 8), np.float32), plan.duration_M, (0, 1), (2,), plan.rule)

    policy.plan = wide
    with pytest.raises(ZooError, match=r"4 dimensions(.|\n)*8 dimensions"):
        evaluate(policy, root, report_dir=tmp_path)
    assert len(policy.seen) == 1


def test_a_policy_without_plans_has_none(root, policy, tmp_path):
    policy.frames = [[], [], []]
    evaluate(policy, root, report_dir=tmp_path)
    assert metrics_of(tmp_path)["plan"] is None
    with np.load(tmp_path / "episodes/episode_000000.npz") as stored:
        assert not [name for name in stored if name.startswith("plan_")]
