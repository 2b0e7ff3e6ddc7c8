"""BEHAVIOR-1K's three states, and what its standard track forbids."""

import numpy as np
import pytest
import torch
from robot_tables import robot_tables

from lerobot_plugins.contracts import behavior1k as b1k
from lerobot_plugins.contracts import r1pro
from lerobot_plugins.contracts.conversion import conversion
from lerobot_plugins.errors import ZooError


@pytest.mark.parametrize(("places", "width"), [(r1pro.PROPRIOCEPTION, 256), (b1k.PROPRIOCEPTION_2026, 61)])
def test_slices_are_contiguous_and_cover_everything(places, width):
    assert [i for place in places.values() for i in range(place.start, place.stop)] == list(range(width))


def test_the_joint_order_is_a_permutation_with_interleaved_arms():
    joints = [i for part in b1k.JOINT_ORDER.values() for i in part]
    assert sorted(joints) == list(range(28))
    assert b1k.JOINT_ORDER["right_arm"] == (11, 13, 15, 17, 19, 21, 23)


def test_the_published_tables():
    tables = robot_tables()["behavior1k"]
    for places, key in ((r1pro.PROPRIOCEPTION, "proprio_256"), (b1k.PROPRIOCEPTION_2026, "proprio_61")):
        assert {name: [place.start, place.stop] for name, place in places.items()} == tables[key]
    assert {part: list(joints) for part, joints in b1k.JOINT_ORDER.items()} == tables["joint_qpos_inner"]
    assert {"joint_qpos[0:6]", *b1k.FORBIDDEN} == set(tables["forbidden_standard_track"])
    for group, (start, stop) in tables["action_23"].items():
        assert all(name.startswith(group) for name in r1pro.ACTION_NAMES[start:stop])


def test_the_layout_of_256_gives_the_known_state():
    proprioception = np.random.default_rng(0).normal(size=(4, 256)).astype(np.float32)
    convert = conversion(b1k.PROPRIO_256, b1k.STATE_23, "state")
    expected = r1pro.state_from_proprioception(proprioception)
    np.testing.assert_array_equal(convert(proprioception), expected)
    assert torch.equal(convert(torch.from_numpy(proprioception)), torch.from_numpy(expected))
    assert len(convert.dropped) == 256 - 21 - 4


def test_the_61_numbers_of_2026_give_the_same_state():
    old = np.random.default_rng(1).normal(size=256)
    new = np.concatenate([old[r1pro.PROPRIOCEPTION[name]] for name in b1k.PROPRIOCEPTION_2026])
    np.testing.assert_array_equal(
        b1k.state_from_proprioception_2026(new), r1pro.state_from_proprioception(old)
    )
    with pytest.raises(ZooError, match="256"):
        b1k.state_from_proprioception_2026(old)


def test_base_velocities_of_2026_are_scaled():
    action = np.zeros(23)
    action[:4] = 1, -1, 0.5, 0.25
    converted = conversion(b1k.PROPRIO_61, b1k.STATE_23, "action")(action)
    assert converted[:4].tolist() == [0.75, -0.75, 0.5, 0.25]


def test_what_tells_where_the_robot_stands_is_filtered():
    allowed = b1k.allowed_indices()
    joints = [*range(6, 28), *range(34, 56), *range(62, 84), *range(84, 112)]
    assert allowed == [*joints, *range(152, 244), *range(253, 256)]
    assert not b1k.is_allowed("joint_qpos", 5)
    assert b1k.is_allowed("joint_qpos", 6)
    assert not b1k.is_allowed("robot_2d_ori_cos")
    with pytest.raises(ZooError, match="altitude"):
        b1k.is_allowed("altitude")


def test_the_contract_has_the_state_that_policies_are_trained_on():
    assert b1k.R1_PRO.state_names == r1pro.STATE_NAMES
    assert b1k.R1_PRO.action_names == r1pro.ACTION_NAMES
    state, action = b1k.R1_PRO.state_signals, b1k.R1_PRO.action_signals
    assert (state["left_gripper.pos"].unit, state["left_gripper.pos"].upper) == ("m", 0.1)
    assert (action["left_gripper.pos"].unit, action["left_gripper.pos"].lower) == ("1", -1)
    assert state["right_arm_4.pos"].lower == -2.0944
    assert state["right_arm_2.pos"].lower == -3.1416
    assert state["torso_1.pos"].joint == "torso_joint1"
