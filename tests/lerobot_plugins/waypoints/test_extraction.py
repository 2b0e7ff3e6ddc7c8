"""Waypoints of one episode: the published oracles, the literal algorithm, gripper events, bad input."""

from itertools import pairwise

import numpy as np
import pytest
from literal_waypoints import literal_error, literal_waypoints

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.extraction import (
    extract_waypoints,
    gripper_events,
    position_waypoints,
    segment_error,
)
from lerobot_plugins.waypoints.rule import PRESETS, WaypointRule

L_TRAJECTORY = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (3, 3)]
SINE = [(0.01 * t, 0.05 * np.sin(t / 5)) for t in range(30)]
ORACLES = [
    ([(t, 0) for t in range(8)], 0.01, [7]),
    (L_TRAJECTORY, 0.1, [2, 6]),
    (L_TRAJECTORY, 0.001, [2, 6]),
    (L_TRAJECTORY, 1.0, [1, 6]),
    ([(0, 0), (5, 0.1), (1, 0), (10, 0)], 0.2, [1, 3]),
    (SINE, 0.001, [2, 5, 8, 11, 16, 20, 23, 26, 29]),
    (SINE, 0.003, [1, 6, 10, 20, 24, 29]),
    (SINE, 0.006, [2, 8, 16, 23, 29]),
    (SINE, 0.01, [7, 22, 29]),
    (SINE, 0.02, [6, 19, 29]),
]


@pytest.mark.parametrize(("trajectory", "threshold", "expected"), ORACLES)
def test_oracles(trajectory: list, threshold: float, expected: list[int]) -> None:
    assert position_waypoints(np.array(trajectory, dtype=float), threshold, None) == expected
    assert literal_waypoints(trajectory, threshold) == expected


def test_segment_error_oracle() -> None:
    x = np.array([(0, 0), (5, 0.1), (1, 0), (10, 0)], dtype=float)
    assert segment_error(x, 0, 3).max() == pytest.approx(0.1, abs=1e-4)
    assert segment_error(x, 0, 2).max() == pytest.approx(4.00125, abs=1e-5)
    assert segment_error(x, 0, 3).max() == literal_error(x.tolist(), 0, 3)


def random_trajectory(generator: np.random.Generator) -> np.ndarray:
    """Walks, smooth curves, pauses, grids with exact ties, and single frames."""
    frames, dims = int(generator.integers(1, 21)), int(generator.integers(1, 7))
    kind = generator.integers(4)
    if kind == 0:
        return generator.normal(size=(frames, dims)).cumsum(axis=0)
    if kind == 1:
        phase = (
            generator.normal(size=dims) + generator.uniform(0.05, 0.5, size=dims) * np.arange(frames)[:, None]
        )
        return np.sin(phase)
    if kind == 2:  # on a grid, so that distances tie with the threshold
        return generator.integers(-1, 2, size=(frames, dims)).cumsum(axis=0).astype(float)
    moving = generator.random((frames, 1)) < 0.5
    return (moving * generator.normal(size=(frames, dims))).cumsum(axis=0)


def test_equals_the_literal_algorithm_on_random_trajectories() -> None:
    generator = np.random.default_rng(0)
    for _ in range(2500):
        x = random_trajectory(generator)
        threshold = float(generator.choice([0.0, 0.05, 0.5, 1.0, 2.0]))
        cap = generator.choice([None, 1, 2, 3, 8])
        assert position_waypoints(x, threshold, cap) == literal_waypoints(x.tolist(), threshold, cap)


def test_equals_the_literal_algorithm_beyond_a_block() -> None:
    """Segments longer than the block of points that is checked at once."""
    generator = np.random.default_rng(1)
    t = np.arange(90)[:, None]
    x = np.concatenate([0.01 * t, np.sin(t / 60)], axis=1) + generator.normal(scale=1e-3, size=(90, 2))
    found = position_waypoints(x, 0.14, None)
    assert max(np.diff([0, *found])) > 70
    assert found == literal_waypoints(x.tolist(), 0.14)


@pytest.mark.parametrize("cap", [1, 2, 5, 32])
def test_no_segment_is_longer_than_the_cap(cap: int) -> None:
    x = np.linspace(0, 1, 100)[:, None]
    assert np.diff([0, *position_waypoints(x, 10.0, cap)]).max() == cap


def test_segments_keep_within_the_threshold_but_for_the_first_frame() -> None:
    """The quirk: what is checked starts one frame after the previous waypoint."""
    x = np.cumsum(np.random.default_rng(2).normal(size=(80, 3)), axis=0)
    waypoints = [0, *position_waypoints(x, 1.5, None)]
    for previous, end in pairwise(waypoints):
        assert segment_error(x, previous + 1, end).max() < 1.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-1, -1, -1, 1, 1, 1, -1, -1], [3, 6]),
        ([0, 0, 20, 45, 80, 100, 100, 99.5, 60, 10, 0], [2, 8]),
        ([0, 1, 1, 0], []),  # a change of exactly the tolerance is none
        ([3], []),
    ],
)
def test_gripper_events(values: list[float], expected: list[int]) -> None:
    assert gripper_events(np.array(values, dtype=float)[:, None], 1.0) == expected


def test_grippers_are_looked_at_one_by_one() -> None:
    left, right = [0, 0, 9, 18, 18], [0, 0, 0, 9, 9]
    assert gripper_events(np.array([left, right], dtype=float).T, 1.0) == [2, 3]


def test_union_of_path_and_gripper() -> None:
    gripper = np.array([-1.0, -1, 1, 1, 1, 1, 1])[:, None]
    rule = WaypointRule(arms=((0, 1),), threshold=0.1, gripper_dims=(0,), max_duration=None)
    found = extract_waypoints(np.array(L_TRAJECTORY, dtype=float), gripper, rule)
    assert found.tolist() == [0, 2, 6]
    assert np.diff(found).tolist() == [2, 4]


def test_arms_are_simplified_on_their_own() -> None:
    generator = np.random.default_rng(3)
    states = generator.normal(size=(60, 14)).cumsum(axis=0)
    rule = WaypointRule(arms=(tuple(range(6)), tuple(range(7, 13))), threshold=3.0)
    left, right = (position_waypoints(states[:, list(arm)], 3.0, 32) for arm in rule.arms)
    assert extract_waypoints(states, np.zeros((60, 1)), rule).tolist() == sorted({0, *left, *right})


def test_one_frame_is_its_own_waypoint() -> None:
    assert extract_waypoints(np.zeros((1, 8)), np.zeros((1, 7)), PRESETS["libero"]).tolist() == [0]


def test_bad_episodes_are_refused() -> None:
    states, actions = np.zeros((4, 8)), np.zeros((4, 7))
    with pytest.raises(ZooError, match="4 states, 3 actions"):
        extract_waypoints(states, actions[:3], PRESETS["libero"])
    with pytest.raises(ZooError, match="0 states"):
        extract_waypoints(states[:0], actions[:0], PRESETS["libero"])
    with pytest.raises(ZooError, match=r"dimension 12 of observation\.state(.|\n)*8 dimensions(.|\n)*--arms"):
        extract_waypoints(states, actions, PRESETS["r1_lite"])
    states[2, 1] = np.nan
    with pytest.raises(ZooError, match=r"observation\.state has a value that is not finite in frame 2"):
        extract_waypoints(states, actions, PRESETS["libero"])
