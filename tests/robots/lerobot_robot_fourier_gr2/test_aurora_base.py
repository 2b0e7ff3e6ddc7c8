"""The trunk's pose from rates: how far, how fast, and never far ahead of the robot."""

from itertools import pairwise

import pytest

from lerobot_robot_fourier_gr2.aurora_base import HIGHEST, LEAD, LOWEST, YAW_RATE, Pose, StandPose

STEP_S = 1 / 30


def follow(stand: StandPose, start: Pose, seconds: float, **rates: float) -> list[Pose]:
    """The commanded poses, by a robot that is always where it was told to be."""
    poses = [start]
    for _ in range(round(seconds / STEP_S)):
        asked = {"height_rate": 0.0, "pitch_rate": 0.0, "yaw": poses[-1].yaw, **rates}
        poses.append(stand.step(poses[-1], **asked, step_s=STEP_S))
    return poses


def test_rates_are_integrated_over_time():
    last = follow(StandPose(), Pose(0.0, 0.0, 0.0), 1.0, height_rate=-0.1, pitch_rate=0.05)[-1]
    assert last == pytest.approx(Pose(-0.1, 0.05, 0.0))


def test_yaw_is_an_angle_that_is_approached_slowly():
    poses = follow(StandPose(), Pose(0.0, 0.0, 0.3), 1.0, yaw=-0.1)
    steps = [abs(b.yaw - a.yaw) for a, b in pairwise(poses)]
    assert max(steps) <= YAW_RATE * STEP_S + 1e-12
    assert poses[-1].yaw == pytest.approx(-0.1)


def test_the_pose_ends_at_its_limits():
    last = follow(StandPose(), Pose(0.0, 0.0, 0.0), 10.0, height_rate=-0.2, pitch_rate=-0.2, yaw=-3.0)[-1]
    assert last == pytest.approx(LOWEST)
    last = follow(StandPose(), Pose(0.0, 0.0, 0.0), 10.0, height_rate=0.2, pitch_rate=0.2, yaw=3.0)[-1]
    assert last == pytest.approx(HIGHEST)


def test_a_robot_that_does_not_follow_is_not_led_far():
    stand, blocked = StandPose(), Pose(-0.05, 0.0, 0.0)
    for _ in range(100):
        pose = stand.step(blocked, -0.1, 0.1, 0.4, STEP_S)
    assert pose == pytest.approx(Pose(-0.05 - LEAD.height, LEAD.pitch, LEAD.yaw))


def test_after_a_stop_it_begins_at_the_measured_pose():
    stand = StandPose()
    stand.step(Pose(-0.1, 0.0, 0.0), 0.0, 0.0, 0.0, STEP_S)
    stand.rest()
    assert stand.step(Pose(-0.15, 0.0, 0.0), 0.0, 0.0, 0.0, STEP_S).height == pytest.approx(-0.15)
