"""Errors of a robot's parts, told apart by the names of its action's dimensions."""

import dataclasses

import numpy as np
import pytest
from replay_episodes import make_episode, make_run

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.evaluation.groups import action_groups
from lerobot_plugins.evaluation.metrics import compute
from lerobot_plugins.evaluation.summary import groups, summary


def test_the_parts_of_r1_pro():
    assert action_groups(r1pro.ACTION_NAMES) == {
        "base": [0, 1, 2],
        "torso": [3, 4, 5, 6],
        "left arm": list(range(7, 14)),
        "right arm": list(range(15, 22)),
        "grippers": [14, 22],
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["dx", "dy", "dz", "drx", "dry", "drz", "gripper"], {"arm": [0, 1, 2, 3, 4, 5], "grippers": [6]}),
        (["shoulder_pan.pos", "wrist_roll.pos", "gripper.pos"], {"arm": [0, 1], "grippers": [2]}),
        (
            ["left_waist", "left_gripper", "right_waist", "right_gripper"],
            {"left arm": [0], "right arm": [2], "grippers": [1, 3]},
        ),
        (
            ["arm_elbow.pos", "x.vel", "y.vel", "theta.vel"],
            {"base": [1, 2, 3], "arm": [0]},
        ),
        (
            ["head_yaw.pos", "waist_yaw.pos", "left_knee.pos", "left_thumb.pos", "mode"],
            {"torso": [1], "head": [0], "hands": [3], "other": [2, 4]},
        ),
        (["action_0", "action_1"], None),
        (["motor_0", "gripper"], None),
        (["left_arm_1.pos", "left_arm_2.pos"], None),
        ([], None),
    ],
)
def test_other_names(names, expected):
    assert action_groups(names) == expected


@pytest.fixture
def run():
    """Four dimensions, the last of them constant."""
    names = ["base_x.vel", "left_arm_1.pos", "left_gripper.pos", "base_y.vel"]
    return dataclasses.replace(make_run([0]), action_names=names)


def test_errors_of_parts_by_hand(run):
    metrics = compute(run, [make_episode(0, 6, offset=[0.1, 0.4, 0, 0.3])])
    for block in (metrics["executed"], metrics["chunk"]):
        by_name = {entry["group"]: entry for entry in block["per_group"]}
        assert list(by_name) == ["base", "left arm", "grippers"]
        assert by_name["base"]["dims"] == ["base_x.vel", "base_y.vel"]
        assert by_name["base"]["raw"]["mae"] == pytest.approx(0.2)
        assert by_name["base"]["raw"]["mse"] == pytest.approx(0.05)
        # base_y is constant in the dataset: it has no range to be measured by.
        assert by_name["base"]["normalized"]["mae"] == pytest.approx(0.1)
        assert by_name["left arm"]["raw"]["mae"] == pytest.approx(0.4)
        assert by_name["left arm"]["normalized"]["mae"] == pytest.approx(0.2)
        assert by_name["grippers"]["raw"]["mae"] == 0


def test_parts_weigh_up_to_the_whole(run):
    generator = np.random.default_rng(0)
    episode = make_episode(0, 9, offset=generator.normal(size=4))
    executed = compute(run, [episode])["executed"]
    weighted = sum(len(entry["dims"]) * entry["raw"]["mse"] for entry in executed["per_group"])
    assert weighted / 4 == pytest.approx(executed["raw"]["mse"])


def test_a_part_that_never_moves_has_no_normalised_error(run):
    run = dataclasses.replace(run, action_names=["arm_1", "arm_2", "arm_3", "base_x.vel"])
    metrics = compute(run, [make_episode(0, 6)])
    assert metrics["executed"]["per_group"][0]["normalized"] is None
    assert groups(metrics)[0][-3:] == ["–"] * 3


def test_the_summary_shows_parts_where_names_tell_them(run):
    assert "left arm" in summary(compute(run, [make_episode(0, 6)]))
    assert groups(compute(run, [])) == []
    unnamed = dataclasses.replace(run, action_names=[f"action_{i}" for i in range(4)])
    metrics = compute(unnamed, [make_episode(0, 6)])
    assert metrics["executed"]["per_group"] is metrics["chunk"]["per_group"] is None
    assert "MAE raw" not in summary(metrics)
