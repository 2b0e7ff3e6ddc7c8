"""The GR-2's layouts against the lists of its converters."""

import numpy as np
import pytest
from robot_tables import robot_tables

from lerobot_plugins.contracts.conversion import conversion
from lerobot_plugins.contracts.fourier_gr2_layouts import QNEXO_37, V1_37, V2_35
from lerobot_plugins.errors import ZooError

ACTION_PERMUTATION = [*range(14), 17, 16, 15, 14, 18, 19, 23, 22, 21, 20, 24, 25, 26, 27, 28, *range(31, 37)]
STATE_PERMUTATION = [*range(14), *range(17, 29), 14, 15, 16, *range(29, 45)]


@pytest.mark.parametrize(
    ("kind", "permutation"), [("action", ACTION_PERMUTATION), ("state", STATE_PERMUTATION)]
)
def test_v1_to_v2_is_the_published_permutation(kind, permutation):
    counting = np.arange(len(V1_37.columns(kind)), dtype=np.float32)

    convert = conversion(V1_37, V2_35, kind)

    assert convert.is_permutation
    assert convert(counting).tolist() == permutation
    assert convert.dropped == (["waist_roll_joint.pos", "waist_pitch_joint.pos"] if kind == "action" else [])


def test_the_published_tables():
    tables = robot_tables()["gr2"]
    assert tables["perm_action_v1_to_v2"] == ACTION_PERMUTATION
    assert tables["perm_state_v1_to_v2"] == STATE_PERMUTATION
    for kind in ("state", "action"):
        for layout, version in ((V1_37, "v1"), (V2_35, "v2")):
            bare_names = [column.aliases[0] for column in layout.columns(kind)]
            assert bare_names == tables[f"{kind}_{version}"]


def test_there_and_back_keeps_what_both_have():
    action = np.random.default_rng(0).normal(size=(3, 35)).astype(np.float32)
    there = conversion(V2_35, V1_37, "action", {"waist_roll_joint": 0.0, "waist_pitch_joint": 0.0})
    assert (there(action)[:, 29:31] == 0).all()
    assert (conversion(V1_37, V2_35, "action")(there(action)) == action).all()


def test_what_a_gr2_has_no_joint_for_must_be_given():
    with pytest.raises(ZooError, match=r"waist_pitch_joint\.pos, waist_roll_joint\.pos"):
        conversion(V2_35, V1_37, "action")


def test_qnexo_has_other_wrists_and_as_many_numbers():
    action = conversion(QNEXO_37, V1_37, "action", {"base_vel_height.vel": 0, "base_vel_pitch.vel": 0})
    counting = action(np.arange(37.0))

    # Left arm 5-11: its wrist is yaw, roll, pitch there and yaw, pitch, roll here.
    assert counting[:7].tolist() == [5, 6, 7, 8, 9, 11, 10]
    assert counting[14:20].tolist() == list(range(19, 25))
    assert counting[26:31].tolist() == [0, 1, 2, 3, 4]
    assert counting[31:].tolist() == [34, 35, 36, 0, 0, 33]
    # What it adds up over an episode is no rate.
    assert action.dropped == ["vel_height", "vel_pitch"]
    assert len(QNEXO_37.state) == 33
