"""Layouts of Galaxea's recordings: no arm is dropped, and every gripper has its unit."""

import numpy as np
import pytest
from robot_tables import robot_tables

from lerobot_plugins.contracts.catalog import layout, layouts
from lerobot_plugins.contracts.conversion import conversion
from lerobot_plugins.contracts.grippers import with_grippers
from lerobot_plugins.errors import ZooError

LITE = layouts("galaxea_r1_lite")


def test_26_numbers_hold_both_arms():
    counting = np.arange(26.0)

    convert = conversion(LITE["rlds_26"], LITE["arms_14"], "action")

    assert convert(counting).tolist() == list(range(14))
    assert convert.is_permutation
    assert [name.split(".")[0] for name in convert.dropped] == [
        f"{part}_{axis}"
        for part in ("torso_twist", "base")
        for axis in ("x", "y", "z", "roll", "pitch", "yaw")
    ]


def test_the_published_tables():
    tables = robot_tables()["galaxea"]
    names = [column.signal.removesuffix(".pos") for column in LITE["arms_14"].action]
    assert names == tables["action_14"]
    for part, (start, stop) in tables["rlds_action_26"].items():
        stem = {"torso_twist": "torso_twist", "base_twist": "base"}.get(part, part)
        assert all(name.startswith(stem) for name in LITE["rlds_26"].names("action")[start:stop])


def test_26_numbers_as_the_plugins_command():
    """Grippers become units, the base keeps x, y and yaw, torso positions must be given: a twist is none."""
    with pytest.raises(ZooError, match="torso_joint1"):
        conversion(LITE["rlds_26"], LITE["plugin"], "action")
    fill = {f"torso_joint{i}": 0.1 * i for i in (1, 2, 3)}
    recorded = np.arange(26.0)
    recorded[[6, 13]] = 25, 100

    action = conversion(LITE["rlds_26"], LITE["plugin"], "action", fill)(recorded)

    assert action[[6, 13]].tolist() == [0.25, 1.0]
    assert action[14:17] == pytest.approx([0.1, 0.2, 0.3])
    assert action[17:].tolist() == [20, 21, 25]


def test_robocoins_first_and_second_sets():
    """6 joints, 0 to 1, grippers between; 7 numbers, 0 to 100, grippers last."""
    v1 = np.arange(14.0)
    v1[[6, 13]] = 0.5, 1
    v2 = np.array([0, 1, 2, 3, 4, 5, 99, 7, 8, 9, 10, 11, 12, 99, 50, 100, 0, 0], float)
    out = LITE["arms_14_unit"]
    converted = conversion(LITE["robocoin_v2"], out, "action")
    assert (conversion(LITE["robocoin_v1"], out, "action")(v1) == converted(v2)).all()
    assert converted.dropped == ["left_arm_7", "right_arm_7", "unnamed_16", "unnamed_17"]


def test_behavior1k_becomes_the_real_r1_pro():
    """Its grippers are a width at 21 and 22 in the state, but -1 to 1 at 14 and 22 in the action."""
    pro = layouts("galaxea_r1_pro")
    state, action = np.arange(23.0), np.arange(23.0)
    state[[21, 22]] = 0.05, 0.1
    action[[14, 22]] = -1, 0
    own = pro["plugin"]

    converted = conversion(pro["behavior1k_23"], own, "action")(action)
    assert converted.tolist() == [*range(7, 14), 0, *range(15, 22), 0.5, *range(3, 7), *range(3)]

    velocities = {name: 0.0 for name in own.names("state") if "_joint" in name and name.endswith(".vel")}
    converted = conversion(pro["behavior1k_23"], own, "state", velocities)(state)
    assert converted[:23] == pytest.approx([*range(7, 14), 0.5, *range(14, 21), 1, *range(3, 7), *range(3)])


@pytest.mark.parametrize(
    ("convention", "closed", "open_"),
    [("mm", 0, 100), ("finger_m", 0, 0.05), ("width_m", 0, 0.1), ("behavior", -1, 1), ("closed_1", 1, 0)],
)
def test_any_convention_of_grippers(convention, closed, open_):
    base = layout("galaxea_r1_pro", "arms_16_unit")
    convert = conversion(with_grippers(base, convention), base, "action")
    recorded = np.zeros((2, 16))
    recorded[:, [7, 15]] = [[closed, open_], [(closed + open_) / 2, closed]]
    np.testing.assert_allclose(convert(recorded)[:, [7, 15]], [[0, 1], [0.5, 0]], atol=1e-12)
    np.testing.assert_allclose(convert.inverse()(convert(recorded)), recorded, atol=1e-12)
