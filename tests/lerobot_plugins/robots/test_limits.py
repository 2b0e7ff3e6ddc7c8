"""Where a robot may be held."""

import math

import pytest
from kinematic_robot import SMALL

from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.limits import bounds_of, held_positions


def test_measured_positions_are_held_and_nothing_else():
    measured = {"shoulder.pos": 0.3, "elbow.pos": 0.6, "base_x.vel": 0.5, "heading.pos": 0.1}
    # 0.1 beyond the elbow's limit, within the margin: it is there.
    assert held_positions(bounds_of(SMALL), measured) == {"shoulder.pos": 0.3, "elbow.pos": 0.6}


@pytest.mark.parametrize("value", [math.nan, math.inf, 80.0])
def test_an_impossible_measurement_is_not_commanded(value: float):
    with pytest.raises(ZooError, match=r"shoulder\.pos cannot be held"):
        held_positions(bounds_of(SMALL), {"shoulder.pos": value, "elbow.pos": 0.0})
