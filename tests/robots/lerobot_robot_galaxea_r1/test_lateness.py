import pytest

from lerobot_robot_galaxea_r1.lateness import Lateness


def test_the_quickest_message_counts_as_not_late():
    late_s = Lateness()
    assert late_s(1000.0, 50.3) == 0
    assert late_s(1000.1, 50.35) == 0  # quicker than the first
    assert late_s(1000.2, 50.55) == pytest.approx(0.1, abs=1e-4)


def test_a_constant_delay_stays_a_delay():
    late_s = Lateness()
    late_s(0.1, 100.0)
    for i in range(1, 100):
        assert late_s(0.1 + i, 100.0 + i + 2.0) == pytest.approx(2.0, abs=0.03)


def test_drifting_clocks_are_no_delay():
    late_s = Lateness()
    assert max(late_s(1 + i * (1 - 1e-4), float(i)) for i in range(20_000)) < 1e-3


def test_a_message_without_a_stamp_is_not_late():
    late_s = Lateness()
    late_s(10.0, 10.0)
    assert late_s(0.0, 99.0) == 0


def test_a_clock_set_back_is_a_delay_unless_it_is_another_sender():
    late_s = Lateness()
    late_s(5000.0, 1.0, "driver")
    assert late_s(2000.0, 1.1, "driver") == pytest.approx(3000, abs=1)
    assert late_s(2000.1, 1.2, "restarted driver") == 0
