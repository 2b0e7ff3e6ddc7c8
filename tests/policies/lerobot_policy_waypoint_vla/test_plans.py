"""What one environment does with its plans."""

import pytest
import torch

from lerobot_policy_waypoint_vla.plans import PlanFollower, stack


def plan(*durations: int, first: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Waypoint i is at first + i in both dims."""
    steps = torch.arange(len(durations)) + first
    return steps[:, None].repeat(1, 2), torch.tensor(durations)


HERE = torch.zeros(2)


def followed(follower: PlanFollower, *durations: int) -> list[int]:
    """Durations of the segments executed before the next plan."""
    follower.take(*plan(*durations), HERE)
    executed = []
    while not follower.needs_plan():
        executed.append(follower.next_segment(HERE).duration)
    return executed


@pytest.mark.parametrize(("segments", "executed"), [(1, [4]), (2, [4, 5]), (0, [4, 5, 6]), (7, [4, 5, 6])])
def test_segments_per_plan(segments, executed):
    follower = PlanFollower(segments, start_planned=False, max_stalled=0)
    assert follower.needs_plan()
    assert followed(follower, 4, 5, 6) == executed
    assert follower.segments == len(executed)


def test_a_plan_is_over_at_its_first_duration_0():
    assert followed(PlanFollower(0, False, 0), 4, 0, 6) == [4]


def test_a_plan_that_ends_at_once_stays_for_a_step():
    follower = PlanFollower(1, False, 0)
    follower.take(*plan(0, 0), HERE)
    segment = follower.next_segment(HERE)
    assert (segment.duration, segment.end_K.tolist()) == (1, HERE.tolist())
    assert follower.needs_plan()


@pytest.mark.parametrize("planned", [False, True])
def test_where_a_segment_starts(planned):
    follower = PlanFollower(0, start_planned=planned, max_stalled=0)
    follower.take(*plan(4, 5), HERE)
    first, second = follower.next_segment(HERE), follower.next_segment(HERE + 0.05)
    assert first.start_K.tolist() == HERE.tolist(), "at first there is only the observed state"
    expected = first.end_K if planned else HERE + 0.05
    assert second.start_K.tolist() == expected.tolist()
    follower.take(*plan(3), HERE)
    third = follower.next_segment(HERE + 0.07)
    assert third.start_K.tolist() == (second.end_K if planned else HERE + 0.07).tolist()


def test_plans_that_lead_nowhere():
    follower = PlanFollower(1, False, max_stalled=3)
    executed = []
    for first in (0.001, 0.001, 0.001, 0.001):
        follower.take(*plan(4, 5, 6, first=first), HERE)
        count = 0
        while not follower.needs_plan():
            follower.next_segment(HERE)
            count += 1
        executed.append(count)
    assert executed == [1, 1, 3, 1], "the third is executed as a whole, then counting starts anew"


def test_a_gripper_that_moves_is_progress():
    follower = PlanFollower(1, False, max_stalled=1)
    states = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    follower.take(states, torch.tensor([4, 5]), torch.tensor([0.0, 0.0]))
    follower.next_segment(HERE)
    assert follower.needs_plan()


def test_stalled_plans_may_be_ignored():
    follower = PlanFollower(1, False, max_stalled=0)
    for _ in range(5):
        follower.take(*plan(4, 5, first=0.0), HERE)
        follower.next_segment(HERE)
        assert follower.needs_plan()


def test_segments_become_a_batch():
    follower = PlanFollower(0, False, 0)
    follower.take(*plan(4, 5), HERE)
    segments = [follower.next_segment(HERE), follower.next_segment(HERE + 1)]
    start, end, duration = stack(segments, 4, torch.device("cpu"))
    assert start.tolist() == [[0, 0, 0, 0], [1, 1, 0, 0]]
    torch.testing.assert_close(end, torch.tensor([[0.1, 0.1, 0, 0], [1.1, 1.1, 0, 0]]))
    assert duration.tolist() == [4, 5]
