"""The picture of an episode, and the error curve in it."""

from pathlib import Path

import numpy as np
import pytest
from waypoint_data import write_walks

from lerobot_plugins.evaluation.figures import to_png
from lerobot_plugins.waypoints.columns import recorded_episodes
from lerobot_plugins.waypoints.dataset import make_waypoints
from lerobot_plugins.waypoints.picture import draw_episode, error_curve
from lerobot_plugins.waypoints.rule import WaypointRule


def test_error_curve_is_zero_at_waypoints_and_the_distance_between_them() -> None:
    position = np.array([(0, 0), (1, 2), (2, 0), (3, 0), (4, -1), (5, 0)], dtype=float)
    assert error_curve(position, np.array([0, 2, 5])) == pytest.approx([0, 2, 0, 0, 1, 0])


@pytest.mark.parametrize("arms", [((0, 1, 2, 3), (4, 5)), ((0,),)])
def test_every_arm_has_its_row(tmp_path: Path, arms: tuple[tuple[int, ...], ...]) -> None:
    root = write_walks(tmp_path / "walks", lengths=(20,))
    rule = WaypointRule(arms=arms, threshold=0.03, gripper_dims=(6,))
    table = make_waypoints(root, rule, "walks")
    figure = draw_episode(next(recorded_episodes(root, rule)), table[0], rule)
    assert len(figure.axes) == 3 * len(arms)
    assert to_png(figure).startswith(b"\x89PNG")
