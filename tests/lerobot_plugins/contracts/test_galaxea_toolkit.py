"""Datasets of Galaxea's toolkit, whose vectors are spread over features."""

import numpy as np
import pytest
import torch
from robot_tables import vector

from lerobot_plugins.contracts.catalog import layout, recognise
from lerobot_plugins.contracts.conversion import conversion
from lerobot_plugins.errors import ZooError


def features(arm: int, commanded: int | None = None, **others: int) -> dict[str, dict]:
    """Features of a dataset with arms of so many numbers in the state."""
    widths = {}
    for side in ("left", "right"):
        widths |= {
            f"observation.state.{side}_arm": arm,
            f"observation.state.{side}_arm.velocities": arm,
            f"observation.state.{side}_gripper": 1,
            f"observation.state.{side}_ee_pose": 7,
            f"action.{side}_arm": commanded or arm,
            f"action.{side}_gripper": 1,
        }
    widths |= {"observation.state.torso": 4, "observation.state.chassis": 10}
    widths |= {name.replace("__", "."): width for name, width in others.items()}
    return {name: vector(width) for name, width in widths.items()}


def test_r1_lite_records_a_seventh_number_that_means_nothing():
    found = recognise(features(7, 6, action__chassis__velocities=6), "galaxea_r1_lite")
    target = layout("galaxea_r1_lite", "arms_14_unit")
    frame = {name: np.full((3, len(columns)), 2.0) for name, columns in found.features("state").items()}
    frame["observation.state.left_arm"] = np.tile(np.arange(7.0), (3, 1))
    frame["observation.state.right_gripper"][:] = 80

    state = conversion(found, target, "state")(found.assemble("state", frame))

    assert state.shape == (3, 14)
    assert state[0].tolist() == [0, 1, 2, 3, 4, 5, 0.02, *[2.0] * 6, 0.8]


def test_r1_pro_is_told_by_its_arms():
    found = recognise(features(7, action__torso=4, action__chassis__velocities=3))
    assert (found.robot_type, found.name) == ("galaxea_r1_pro", "toolkit")
    to_plugin = conversion(found, layout("galaxea_r1_pro", "plugin"), "action")
    assert to_plugin.dropped == []
    frame = {name: torch.zeros(len(columns)) for name, columns in found.features("action").items()}
    frame["action.right_arm"] = torch.arange(7.0)
    assert to_plugin(found.assemble("action", frame))[8:15].tolist() == list(range(7))


def test_six_joints_are_two_robots():
    with pytest.raises(ZooError, match=r"galaxea_r1 toolkit .*galaxea_r1_lite toolkit"):
        recognise(features(6))


def test_a_twist_of_six_holds_x_y_and_yaw_and_wheels_are_no_twist():
    found = recognise(
        features(
            6,
            action__torso__velocities=6,
            action__chassis__velocities=6,
            observation__state__chassis__velocities=3,
        ),
        "galaxea_r1_lite",
    )
    signals = [column.signal for column in found.action]
    assert signals[14:20] == [f"torso_twist_{axis}.vel" for axis in ("x", "y", "z", "roll", "pitch", "yaw")]
    assert [signals.index(f"base_{axis}.vel") for axis in ("x", "y", "yaw")] == [20, 21, 25]
    assert not any(column.signal.startswith("base_") for column in found.state)


def test_assembling_checks_every_part():
    found = recognise(features(6), "galaxea_r1_lite")
    frame = {name: np.zeros(len(columns)) for name, columns in found.features("action").items()}
    with pytest.raises(ZooError, match=r"action\.left_arm has another width"):
        found.assemble("action", frame | {"action.left_arm": np.zeros(7)})
    del frame["action.right_gripper"]
    with pytest.raises(ZooError, match=r"action\.right_gripper"):
        found.assemble("action", frame)
