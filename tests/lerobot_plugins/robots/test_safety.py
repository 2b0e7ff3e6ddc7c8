"""What reaches a robot: every refusal, every limit, and by random search that nothing else gets through."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinematic_robot import SMALL

from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Reading
from lerobot_plugins.robots.safety import (
    ABSENT,
    AHEAD,
    BASE_OFF,
    LIMIT,
    LONGEST_STEP_S,
    RATE,
    SLOWEST,
    START,
    UNOBEYED,
    Checked,
    SafetyFilter,
)

REST = {"shoulder.pos": 0.0, "elbow.pos": 0.0, "gripper.pos": 0.0, "base_x.vel": 0.0, "heading.pos": 0.3}
STEP_S = 0.1


class Driver:
    """Sends actions at a steady rate to a robot that is always where it was told to be."""

    def __init__(self, **options: object) -> None:
        self.filter = SafetyFilter(SMALL, **{"ramp_s": 0.0, **options})
        self.measured = dict(REST)
        self.now_s, self.sequence = 10.0, 0

    def send(self, action: dict, step_s: float = STEP_S, follow: bool = True) -> Checked:
        self.now_s += step_s
        self.sequence += 1
        checked = self.filter(action, Reading(dict(self.measured), self.sequence, self.now_s), self.now_s)
        if follow:
            self.measured |= {name: value for name, value in checked.targets.items() if name in self.measured}
        return checked


def whys(checked: Checked) -> dict[str, str]:
    return {change.name: change.why for change in checked.limited}


def test_the_first_action_holds_the_measured_position():
    driver = Driver()
    driver.measured["elbow.pos"] = -0.4
    sent = driver.send({"elbow.pos": 0.4}).sent
    assert sent == dict.fromkeys(SMALL.action_names, 0.0) | {"elbow.pos": -0.4}
    assert list(sent) == SMALL.action_names


def test_positions_move_at_their_rate_and_arrive():
    driver = Driver()
    driver.send({})
    sent = [driver.send({"shoulder.pos": 0.5}).sent["shoulder.pos"] for _ in range(4)]
    assert sent == pytest.approx([0.2, 0.4, 0.5, 0.5])


def test_rates_count_time_and_not_calls():
    slow, fast = Driver(), Driver()
    slow.send({}), fast.send({})
    for _ in range(2):
        slow.send({"shoulder.pos": 2.0}, step_s=0.1)
    for _ in range(10):
        fast.send({"shoulder.pos": 2.0}, step_s=0.02)
    assert fast.measured == pytest.approx(slow.measured)


def test_a_pause_is_not_made_up_for():
    driver = Driver()
    driver.send({})
    assert driver.send({"shoulder.pos": 2.0}, step_s=60).sent["shoulder.pos"] == 2.0 * LONGEST_STEP_S


def test_beyond_a_limit_is_clamped_and_reported():
    driver = Driver(rates={"elbow.pos": 50.0})
    driver.send({})
    checked = driver.send({"elbow.pos": 0.7})
    assert checked.sent["elbow.pos"] == 0.5
    assert whys(checked) == {"elbow.pos": LIMIT}
    assert (checked.limited[0].asked, checked.limited[0].sent) == (0.7, 0.5)


@pytest.mark.parametrize("asked", [1.0, -1.95, 45.0, 1e300])
def test_far_beyond_a_limit_is_refused(asked: float):
    driver = Driver()
    with pytest.raises(
        ZooError, match=r"elbow.pos is asked for far outside its limits[\s\S]*-1.5 to 0.5 rad"
    ):
        driver.send({"elbow.pos": asked})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "elbow.pos is not finite"),
        (math.inf, "elbow.pos is not finite"),
        (10**400, "elbow.pos is not finite"),
        (np.float32("nan"), "elbow.pos is not finite"),
        (torch.tensor(math.nan), "elbow.pos is not finite"),
        ("0.1", "elbow.pos is no number"),
        (None, "elbow.pos is no number"),
        (True, "elbow.pos is no number"),
        (1j, "elbow.pos is no number"),
        ([0.1], "elbow.pos is no number"),
        (np.zeros(2), r"elbow.pos is no number\n  got:      ndarray of shape \(2,\)"),
        (torch.zeros(1), r"elbow.pos is no number\n  got:      Tensor of shape \(1,\)"),
    ],
)
def test_what_is_no_finite_number_is_refused(value: object, said: str):
    with pytest.raises(ZooError, match=said):
        Driver().send({"elbow.pos": value})


@pytest.mark.parametrize("one", [0.1, np.float32(0.1), np.float64(0.1), torch.tensor(0.1), np.array(0.1)])
def test_any_kind_of_number_is_understood(one: object):
    driver = Driver()
    driver.send({})
    sent = driver.send({"elbow.pos": one}).sent["elbow.pos"]
    assert type(sent) is float
    assert sent == pytest.approx(0.1)


def test_integers_are_numbers():
    driver = Driver()
    driver.send({})
    assert driver.send({"gripper.pos": 0}).sent["gripper.pos"] == 0.0


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    with pytest.raises(ZooError, match=r"got:      elbo.pos\n  expected: elbow.pos"):
        Driver().send({"elbo.pos": 0.0})


def test_names_of_measurements_are_ignored_whatever_they_hold():
    checked = Driver().send({"heading.pos": math.nan})
    assert "heading.pos" not in checked.sent
    assert not checked.limited


def test_missing_positions_are_held_and_missing_velocities_stop():
    driver = Driver(enable_base=True)
    driver.send({})
    driver.send({"shoulder.pos": 0.2, "base_x.vel": 0.2})
    assert driver.send({"shoulder.pos": 0.2}).sent["base_x.vel"] == 0.0
    assert driver.send({"base_x.vel": 0.1}).sent["shoulder.pos"] == pytest.approx(0.2)


def test_velocities_speed_up_slowly_and_stop_at_once():
    driver = Driver(enable_base=True)
    driver.send({})
    assert driver.send({"base_x.vel": 0.9}).sent["base_x.vel"] == pytest.approx(0.2)
    assert driver.send({"base_x.vel": 0.9}).sent["base_x.vel"] == pytest.approx(0.4)
    assert driver.send({"base_x.vel": -0.9}).sent["base_x.vel"] == pytest.approx(-0.2)
    assert driver.send({}).sent["base_x.vel"] == 0.0


def test_the_base_stands_unless_it_is_enabled():
    driver = Driver()
    driver.send({})
    checked = driver.send({"base_x.vel": 0.1})
    assert checked.sent["base_x.vel"] == 0.0
    assert whys(checked) == {"base_x.vel": BASE_OFF}


def test_a_velocity_without_known_limits_moves_only_when_given_some():
    unknown, known = Driver(enable_base=True), Driver(enable_base=True, limits={"lift.vel": [-0.1, 0.1]})
    unknown.send({}), known.send({})
    assert unknown.send({"lift.vel": 7.0}).sent["lift.vel"] == 0.0
    assert known.send({"lift.vel": 0.05}).sent["lift.vel"] == 0.05
    with pytest.raises(ZooError, match=r"lift\.vel"):
        known.send({"lift.vel": 7.0})


def test_what_the_robot_does_not_obey_now_is_where_it_is_measured():
    driver = Driver(enable_base=True)
    reading = Reading(REST | {"elbow.pos": -0.4}, 1, 10.0)
    asked = {"elbow.pos": 0.4, "shoulder.pos": 0.1, "base_x.vel": 0.5}
    checked = driver.filter(asked, reading, 10.0, unobeyed={"elbow.pos", "base_x.vel"})
    assert (checked.sent["elbow.pos"], checked.sent["base_x.vel"]) == (-0.4, 0.0)
    assert whys(checked) == {"elbow.pos": UNOBEYED, "base_x.vel": UNOBEYED, "shoulder.pos": RATE}


def test_a_joint_that_the_robot_lacks_gets_0_and_is_not_sent():
    checked = Driver().send({"absent.pos": 0.3})
    assert checked.sent["absent.pos"] == 0.0
    assert "absent.pos" not in checked.targets
    assert whys(checked) == {"absent.pos": ABSENT}


def test_the_way_to_the_first_target_begins_slowly():
    driver = Driver(ramp_s=6.0)
    driver.send({"shoulder.pos": 1.5})
    first = driver.send({"shoulder.pos": 1.5})
    assert first.sent["shoulder.pos"] == pytest.approx(2.0 * STEP_S * SLOWEST)
    assert whys(first) == {"shoulder.pos": START}
    for _ in range(59):
        last = driver.send({"shoulder.pos": 1.5})
    assert last.sent["shoulder.pos"] == pytest.approx(1.5)


def test_the_slow_start_is_over_when_the_target_is_reached():
    driver = Driver(ramp_s=6.0)
    driver.send({"shoulder.pos": 0.0})
    driver.send({"shoulder.pos": 0.001})
    assert driver.send({"shoulder.pos": 1.0}).sent["shoulder.pos"] == pytest.approx(0.201)


def test_a_blocked_joint_is_not_pulled_ever_harder():
    driver = Driver(lead_s=0.2)
    for _ in range(50):
        checked = driver.send({"shoulder.pos": 1.8}, follow=False)
    assert checked.sent["shoulder.pos"] == pytest.approx(2.0 * 0.2)
    assert whys(checked) == {"shoulder.pos": AHEAD}


def test_a_joint_that_was_pushed_away_is_not_flung_back():
    driver = Driver(lead_s=0.2)
    driver.send({"shoulder.pos": 0.0})
    driver.measured["shoulder.pos"] = 1.5
    assert driver.send({"shoulder.pos": 0.0}, follow=False).sent["shoulder.pos"] == pytest.approx(1.1)


def test_a_low_pass_smooths_by_its_time_constant():
    driver = Driver(low_pass_s=0.1, rates={"shoulder.pos": 100.0})
    driver.send({})
    sent = [driver.send({"shoulder.pos": 1.0}).sent["shoulder.pos"] for _ in range(2)]
    assert sent == pytest.approx([1 - math.exp(-1), 1 - math.exp(-2)])


def test_a_measured_position_outside_its_limits_is_left_at_the_usual_rate():
    driver = Driver()
    driver.measured["elbow.pos"] = 0.8
    driver.send({})
    sent = [driver.send({"elbow.pos": 0.5}).sent["elbow.pos"] for _ in range(4)]
    assert sent == pytest.approx([0.7, 0.6, 0.5, 0.5])


def test_a_measured_position_far_outside_its_limits_is_refused():
    driver = Driver()
    driver.measured["elbow.pos"] = -45.0
    with pytest.raises(ZooError, match=r"elbow\.pos is measured far outside its limits"):
        driver.send({})


@pytest.mark.parametrize(("change", "said"), [({"elbow.pos": math.nan}, "measured elbow.pos is not finite")])
def test_a_measurement_that_is_not_finite_is_refused(change: dict, said: str):
    driver = Driver()
    driver.measured |= change
    with pytest.raises(ZooError, match=said):
        driver.send({})


def test_an_incomplete_measurement_is_refused():
    driver = Driver()
    del driver.measured["heading.pos"]
    with pytest.raises(ZooError, match=r"did not measure everything\n  got:      no heading.pos"):
        driver.send({})


@pytest.mark.parametrize("age_s", [0.6, -0.6])
def test_a_measurement_of_another_time_is_refused(age_s: float):
    checking = SafetyFilter(SMALL)
    with pytest.raises(ZooError, match="measurement is stale"):
        checking({}, Reading(REST, 1, 10.0 - age_s), 10.0)


def test_a_measurement_that_is_stamped_anew_is_still_old():
    checking = SafetyFilter(SMALL, max_age_s=0.5)
    for now_s in (10.0, 10.2, 10.4):
        checking({}, Reading(REST, 7, now_s), now_s)
    with pytest.raises(ZooError, match=r"measurement 7, 0.60 s old"):
        checking({}, Reading(REST, 7, 10.6), 10.6)
    checking({}, Reading(REST, 8, 10.7), 10.7)


def test_a_refusal_leaves_no_trace():
    disturbed, calm = Driver(), Driver()
    for driver in (disturbed, calm):
        driver.send({})
        driver.send({"shoulder.pos": 1.0})
    for wrong in ({"shoulder.pos": math.nan}, {"nothing.pos": 0.0}, {"elbow.pos": 90.0, "shoulder.pos": 0.1}):
        with pytest.raises(ZooError):
            disturbed.send(wrong, step_s=0.0)
    assert disturbed.send({"shoulder.pos": 1.0}) == calm.send({"shoulder.pos": 1.0})


def test_clamping_what_was_sent_changes_nothing():
    driver = Driver(enable_base=True)
    driver.send({})
    sent = driver.send({"shoulder.pos": 2.3, "elbow.pos": -1.7, "base_x.vel": 1.1}).sent
    again = driver.send(sent)
    assert again.sent == sent
    assert not again.limited


def test_after_a_stop_the_next_action_starts_from_the_measured_position():
    driver = Driver()
    driver.send({})
    driver.send({"shoulder.pos": 1.0})
    driver.filter.rest()
    driver.measured["shoulder.pos"] = -0.3
    assert driver.send({"shoulder.pos": 1.0}).sent["shoulder.pos"] == -0.3


numbers = st.one_of(
    st.floats(-3, 3), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0, "1", None, 1e12])
)
actions = st.dictionaries(st.sampled_from([*SMALL.action_names, "heading.pos", "other.pos"]), numbers)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(actions, st.floats(0, 0.5)), min_size=1, max_size=12),
    enable_base=st.booleans(),
    ramp_s=st.sampled_from([0.0, 1.0]),
    low_pass_s=st.sampled_from([0.0, 0.1]),
)
def test_whatever_is_sent_lies_within_limits_rates_and_reach(
    steps: list, enable_base: bool, ramp_s: float, low_pass_s: float
):
    """Random actions to a robot that follows: no target leaves the limits or outruns its rate."""
    driver = Driver(enable_base=enable_base, ramp_s=ramp_s, low_pass_s=low_pass_s)
    last, since_s = None, 0.0
    for action, step_s in steps:
        since_s += step_s
        before = dict(driver.measured)
        try:
            checked = driver.send(action, step_s=step_s)
        except ZooError:
            continue
        for name, value in checked.targets.items():
            bounds = driver.filter.bounds[name]
            assert math.isfinite(value)
            assert bounds.lower <= value <= bounds.upper
            previous = before.get(name, 0.0) if last is None else last[name]
            most = bounds.rate * (0.0 if last is None else min(since_s, LONGEST_STEP_S)) + 1e-9
            if bounds.signal.is_velocity:
                assert min(previous, 0.0) - most <= value <= max(previous, 0.0) + most
                assert enable_base or value == 0.0
            else:
                assert abs(value - previous) <= most
        assert checked.sent == {name: checked.targets.get(name, 0.0) for name in SMALL.action_names}
        last, since_s = checked.targets, 0.0


@settings(max_examples=100, deadline=None)
@given(
    asked=st.lists(st.floats(-2, 2), min_size=1, max_size=8),
    measured=st.lists(st.floats(-2, 2), min_size=8, max_size=8),
)
def test_no_target_is_further_from_the_robot_than_its_reach(asked: list, measured: list):
    """A robot that goes where it likes is never asked for more than its lead, and never jerked outwards."""
    driver = Driver(lead_s=0.3)
    for target, position in zip(asked, measured, strict=False):
        driver.measured["shoulder.pos"] = position
        sent = driver.send({"shoulder.pos": target}, follow=False).sent["shoulder.pos"]
        assert abs(sent - position) <= 2.0 * 0.3 + 1e-9
        assert -2.0 <= sent <= 2.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limits": {"elbw.pos": [0, 1]}}, r"robot.limits names no commanded signal[\s\S]*elbow.pos"),
        ({"limits": {"absent.pos": [0, 1]}}, "robot.limits names no commanded signal"),
        ({"limits": {"elbow.pos": [1, 0]}}, "limits of elbow.pos are no interval"),
        ({"limits": {"elbow.pos": [0]}}, "limits of elbow.pos are no interval"),
        ({"limits": {"elbow.pos": [0, math.nan]}}, "limits of elbow.pos are no interval"),
        ({"rates": {"elbow.pos": 0.0}}, "elbow.pos has no usable rate"),
        ({"rates": {"elbow.pos": math.inf}}, "elbow.pos has no usable rate"),
    ],
)
def test_wrong_overrides_are_refused(options: dict, said: str):
    with pytest.raises(ZooError, match=said):
        SafetyFilter(SMALL, **options)


def test_rate_is_named_where_it_limits():
    driver = Driver()
    driver.send({})
    assert whys(driver.send({"shoulder.pos": 1.0})) == {"shoulder.pos": RATE}
