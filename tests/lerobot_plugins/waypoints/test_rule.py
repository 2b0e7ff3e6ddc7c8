"""Waypoint rules: presets, their description in files, wrong values."""

import json

import pytest

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.rule import PRESETS, WaypointRule


@pytest.mark.parametrize("name", PRESETS)
def test_rules_survive_json(name: str) -> None:
    assert WaypointRule.from_dict(json.loads(json.dumps(PRESETS[name].to_dict()))) == PRESETS[name]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"arms": ()}, "arms"),
        ({"arms": ((0, 1), (1, 2))}, "arms"),
        ({"arms": ((-1,),)}, "arms"),
        ({"threshold": float("nan")}, "threshold"),
        ({"gripper_dims": (6, 6)}, "gripper_dims"),
        ({"gripper_atol": -1.0}, "gripper_atol"),
        ({"max_duration": 0}, "max_duration"),
    ],
)
def test_wrong_values_are_named(values: dict, named: str) -> None:
    with pytest.raises(ZooError, match=f"wrong {named}"):
        WaypointRule(**({"arms": ((0, 1),), "threshold": 0.01} | values))


def test_unknown_and_missing_fields_are_refused() -> None:
    described = PRESETS["libero"].to_dict()
    with pytest.raises(ZooError, match="fields"):
        WaypointRule.from_dict(described | {"radius": 1})
    with pytest.raises(ZooError, match="fields"):
        WaypointRule.from_dict({"threshold": 0.1})
    with pytest.raises(ZooError, match="values"):
        WaypointRule.from_dict(described | {"threshold": "small"})
