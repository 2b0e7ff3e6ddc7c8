"""Configurations: robots, rules, layouts, and what is refused."""

from typing import Any

import pytest
from lerobot.configs import FeatureType, PolicyFeature
from tiny_policies import tiny_config

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.rule import PRESETS as RULES
from lerobot_policy_waypoint_vla.configuration_waypoint_vla import WaypointVLAConfig

TYPE = "waypoint_vla"


def config_of(state: int, action: int, **changes: Any) -> WaypointVLAConfig:
    """Full size, for a robot of these widths."""
    fields = {
        "device": "cpu",
        "input_features": {
            "observation.images.front": PolicyFeature(FeatureType.VISUAL, (3, 224, 224)),
            "observation.state": PolicyFeature(FeatureType.STATE, (state,)),
        },
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (action,))},
    }
    config = WaypointVLAConfig(**fields | changes)
    config.validate_features()
    return config


@pytest.mark.parametrize(
    ("preset", "widths", "numbers", "grippers", "block"),
    [
        ("libero", (8, 7), list(range(6)), [6], 10),
        ("calvin", (15, 7), list(range(6)), [14], 10),
        ("r1_lite", (14, 14), [*range(6), *range(7, 13)], [6, 13], 17),
    ],
)
def test_presets(preset, widths, numbers, grippers, block):
    config = config_of(*widths, robot_preset=preset)
    assert list(config.robot.continuous) == numbers
    assert list(config.robot.grippers) == grippers
    assert len(config.layout.block) == block
    rule = config.waypoint_rule
    assert (rule.arms, rule.threshold) == (RULES[preset].arms, RULES[preset].threshold)
    assert rule.gripper_dims == config.robot.action_grippers == RULES[preset].gripper_dims
    assert rule.max_duration == 32
    assert {gripper.dim for gripper in config.gripper_maps["action"]} == set(config.robot.action_grippers)


def test_the_older_layout_writes_every_dim():
    config = config_of(8, 7, robot_preset="libero", token_layout="bins256")
    assert config.robot.continuous == tuple(range(8))
    assert config.gripper_maps["observation.state"] == []
    assert config.gripper_maps["action"][0].convention == "negative_is_open"
    assert (len(config.layout.block) * 7, config.layout.rows) == (77, 292)
    assert config.waypoint_rule.arms == (tuple(range(6)),), "extraction stays what it was"


def test_a_free_robot():
    config = config_of(
        5, 4, gripper_state_dims=[4], gripper_state_thresholds=[0.5], waypoint_threshold=0.1,
        gripper_action_dims=[3],
    )  # fmt: skip
    assert config.robot.continuous == (0, 1, 2, 3)
    rule = config.waypoint_rule
    assert (rule.arms, rule.gripper_dims, rule.gripper_atol) == (((0, 1, 2, 3),), (3,), 0.5)
    two = config_of(5, 4, waypoint_threshold=0.1, waypoint_arms=[[0, 1], [2, 3, 4]])
    assert two.waypoint_rule.arms == ((0, 1), (2, 3, 4))
    assert two.robot.grippers == ()
    assert len(two.layout.block) == 8


def test_presets_can_be_changed_dim_by_dim():
    config = config_of(8, 7, robot_preset="libero", gripper_state_thresholds=[0.03], waypoint_threshold=0.01)
    assert config.gripper_maps["observation.state"][0].threshold == 0.03
    assert config.waypoint_rule.threshold == 0.01


def test_the_published_numbers():
    config = WaypointVLAConfig(device="cpu")
    assert (config.num_waypoints, config.chunk_size, config.max_duration) == (7, 32, 32)
    assert (config.optimizer_betas, config.optimizer_weight_decay) == ((0.9, 0.999), 1e-4)
    schedule = WaypointVLAConfig(
        device="cpu", optimizer_lr=1e-4, scheduler_warmup_steps=1000, scheduler_decay_steps=10_000
    ).get_scheduler_preset()
    assert (schedule.peak_lr, schedule.decay_lr) == (1e-4, 1e-5)
    steps = WaypointVLAConfig(device="cpu", scheduler_warmup_steps=40, scheduler_milestones=[600, 900])
    assert steps.get_scheduler_preset().factor(900) == pytest.approx(0.09)
    assert config.drop_n_last_frames == 1


@pytest.mark.parametrize(
    ("widths", "changes", "words"),
    [
        ((14, 14), {"robot_preset": "libero"}, r"nothing about \[8, 9, 10, 11, 12, 13\]"),
        ((7, 7), {"robot_preset": "libero"}, r"does not have(.|\n)*\[7\](.|\n)*dims from 0 to 6"),
        ((8, 6), {"robot_preset": "libero"}, r"gripper dims that the action does not have(.|\n)*\[6\]"),
        ((8, 7), {"continuous_state_dims": [0, 1]}, r"nothing about \[2, 3, 4, 5, 6, 7\]"),
        ((3, 2), {"ignored_state_dims": [0, 1, 2]}, "no continuous state dim"),
        ((3, 2), {"continuous_state_dims": [0, 1, 2], "ignored_state_dims": [2]}, r"dims twice(.|\n)*\[2\]"),
        ((3, 2), {"gripper_state_dims": [2]}, "thresholds than of grippers"),
        ((40, 7), {}, r"max_state_dim(.|\n)*32 for 40(.|\n)*--policy.max_state_dim=40"),
        ((8, 40), {}, r"max_action_dim(.|\n)*--policy.max_action_dim=40"),
    ],
    ids=str,
)
def test_dims_that_do_not_fit_are_refused(widths, changes, words):
    with pytest.raises(ZooError, match=words):
        config_of(*widths, **{"waypoint_threshold": 0.01} | changes)


def test_a_robot_needs_a_state():
    features = {"observation.images.front": PolicyFeature(FeatureType.VISUAL, (3, 64, 64))}
    config = tiny_config(TYPE, input_features=features)
    with pytest.raises(ZooError, match=r"no observation.state"):
        config.validate_features()


def test_a_free_robot_needs_a_threshold():
    """Kept waypoints do not say it either: their plans are scored by a rule."""
    for changes in ({}, {"waypoint_table": "mine"}):
        with pytest.raises(ZooError, match=r"--policy.waypoint_threshold"):
            config_of(8, 7, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"robot_preset": "libero2"}, "--policy.robot_preset=libero"),
        ({"token_layout": "bins512"}, "unknown token_layout"),
        ({"max_duration": 33}, r"max_duration(.|\n)*1 to 32(.|\n)*chunk_size"),
        ({"chunk_size": 16, "n_action_steps": 16}, r"max_duration(.|\n)*1 to 16"),
        ({"gradient_scale": 1.5}, r"gradient_scale(.|\n)*0 to 1"),
        ({"segments_per_plan": 8}, r"segments_per_plan(.|\n)*0 to 7"),
        ({"image_crop_area": 0.0}, "image_crop_area"),
        ({"n_obs_steps": 2}, r"n_obs_steps(.|\n)*expected: 1"),
        ({"loss_mode": "ae", "gradient_strategy": "stop"}, "gradient_strategy=freeze"),
        ({"loss_mode": "vlm", "gradient_strategy": "freeze"}, "it would be frozen"),
        ({"planner_init_from": "x"}, "--policy.separate_planner=true"),
        ({"prompt_template": "do {task}"}, "prompts of waypoint_vla are fixed"),
    ],
    ids=str,
)
def test_wrong_values_are_refused(changes, words):
    with pytest.raises(ZooError, match=words):
        WaypointVLAConfig(device="cpu", **changes)


def test_a_planner_of_its_own_may_train_while_the_experts_backbone_is_frozen():
    WaypointVLAConfig(device="cpu", loss_mode="vlm", gradient_strategy="freeze", separate_planner=True)
