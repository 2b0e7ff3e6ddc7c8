"""A robot that speaks a dataset's layout: its order, its units, and no doubt which."""

import math

import pytest

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.dialect import Dialect

GR2 = catalog.contract("fourier_gr2")
LITE = catalog.contract("galaxea_r1_lite")


def test_without_a_layout_it_is_the_contracts():
    dialect = Dialect(GR2)
    assert dialect.keys("state") == GR2.state_names
    assert dialect.keys("action") == GR2.action_names
    values = {name: float(i) for i, name in enumerate(GR2.action_names)}
    assert dialect.spoken("action", values) == values
    assert dialect.understood(values) == values


def test_another_order_is_spoken():
    dialect = Dialect(GR2, "v2_35")
    assert (len(dialect.keys("state")), len(dialect.keys("action"))) == (45, 35)
    assert dialect.keys("action")[14:16] == ["L_index_proximal_joint.pos", "L_middle_proximal_joint.pos"]
    assert all(key.endswith((".pos", ".vel")) for key in dialect.keys("state"))


def test_another_unit_is_spoken_under_another_key():
    dialect = Dialect(LITE, "arms_14")
    assert dialect.keys("action")[6] == "left_gripper_raw.pos"
    signals = dict.fromkeys(LITE.state_names, 0.25)
    assert dialect.spoken("state", signals)["left_gripper_raw.pos"] == pytest.approx(25.0)
    assert dialect.understood({"left_gripper_raw.pos": 40.0, "left_arm_joint1.pos": 0.1}) == pytest.approx(
        {"left_gripper.pos": 0.4, "left_arm_joint1.pos": 0.1}
    )


def can_speak(robot_type: str, layout: str) -> bool:
    """Whether the robot measures and obeys every column."""
    contract, columns = catalog.contract(robot_type), catalog.layout(robot_type, layout)
    return {column.signal for column in columns.state} <= {*contract.state_names} and {
        column.signal for column in columns.action
    } <= {*contract.action_names}


LAYOUTS = [
    (robot_type, layout)
    for robot_type in ("fourier_gr2", "galaxea_r1", "galaxea_r1_lite", "galaxea_r1_pro")
    for layout in catalog.layouts(robot_type)
]


@pytest.mark.parametrize(("robot_type", "layout"), [case for case in LAYOUTS if can_speak(*case)])
def test_layouts_are_spoken_both_ways(robot_type: str, layout: str):
    contract, columns = catalog.contract(robot_type), catalog.layout(robot_type, layout)
    dialect = Dialect(contract, layout)
    values = {name: 0.01 * i for i, name in enumerate(contract.action_names)}
    assert dialect.understood(dialect.spoken("action", values)) == pytest.approx(
        {column.signal: values[column.signal] for column in columns.action}
    )
    assert len(dialect.keys("state")) == len(columns.state)


@pytest.mark.parametrize(("robot_type", "layout"), [case for case in LAYOUTS if not can_speak(*case)])
def test_layouts_with_columns_that_the_robot_lacks_are_refused(robot_type: str, layout: str):
    with pytest.raises(ZooError, match="cannot speak the layout"):
        Dialect(catalog.contract(robot_type), layout)


def test_unknown_keys_and_numbers_that_are_not_finite_are_refused():
    dialect = Dialect(LITE, "arms_14")
    with pytest.raises(ZooError, match=r"got:      left_gripper\.pos\n  expected: left_gripper_raw\.pos"):
        dialect.understood({"left_gripper.pos": 0.5})
    with pytest.raises(ZooError, match="is not finite"):
        dialect.understood({"left_gripper_raw.pos": math.nan})
    with pytest.raises(ZooError, match="unknown layout of galaxea_r1_lite"):
        Dialect(LITE, "v1_37")
