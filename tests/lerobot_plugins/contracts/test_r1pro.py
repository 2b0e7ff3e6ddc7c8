"""The layout of R1 Pro's vectors, against numbers written down from the simulator's source."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError

INDICES = Path(__file__).parents[4] / "shared/data/behavior1k/r1pro_indices.json"
STATE_OF_COUNTING = [
    *range(253, 256), *range(236, 240), *range(158, 165), *range(197, 204), 193 + 194, 232 + 233
]  # fmt: skip


@pytest.mark.parametrize("shape", [(256,), (1, 256), (2, 3, 256)])
def test_the_state_of_counting_numbers(shape):
    counting = np.broadcast_to(np.arange(256, dtype=np.float32), shape)

    state = r1pro.state_from_proprioception(counting)

    assert state.dtype == np.float32
    assert state.shape == (*shape[:-1], 23)
    assert (state == STATE_OF_COUNTING).all()
    from_torch = r1pro.state_from_proprioception(torch.from_numpy(counting.copy()))
    assert torch.equal(from_torch, torch.from_numpy(state))


def test_the_input_is_left_alone():
    counting = np.arange(256.0)

    r1pro.state_from_proprioception(counting)

    assert (counting == np.arange(256)).all()


def test_another_length_is_refused():
    with pytest.raises(ZooError, match="61"):
        r1pro.state_from_proprioception(np.zeros((4, 61)))


def test_grippers_lie_elsewhere_in_the_action_than_in_the_state():
    assert r1pro.STATE_GRIPPER_DIMS == (21, 22)
    assert r1pro.ACTION_GRIPPER_DIMS == (14, 22)
    assert (*range(14), 21, *range(14, 21), 22) == r1pro.ACTION_TO_STATE
    assert len(r1pro.STATE_NAMES) == len(r1pro.ACTION_NAMES) == 23
    assert all(name.endswith((".pos", ".vel")) for name in r1pro.ACTION_NAMES)


def test_no_joint_effort_is_reliable():
    assert r1pro.reliable_indices() == [*range(112), *range(140, 256)]
    names = r1pro.proprioception_names()
    assert len(names) == len(set(names)) == 256
    assert (names[112], names[158], names[255]) == ("joint_qeffort_0", "arm_left_qpos_0", "base_qvel_2")


@pytest.mark.skipif(not INDICES.exists(), reason="needs the shared sample of the simulator's tables")
def test_the_tables_of_the_simulator():
    tables = json.loads(INDICES.read_text())
    expected = {
        name.replace("_WRONG_in_2025_data", ""): slice(*place) for name, place in tables["state_256"].items()
    }
    assert expected == r1pro.PROPRIOCEPTION
    for group, (start, stop) in tables["action_23"].items():
        assert all(name.startswith(group) for name in r1pro.ACTION_NAMES[start:stop])
