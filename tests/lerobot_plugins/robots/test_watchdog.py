"""A robot that nobody commands any more is stopped in time."""

import logging
import threading

import pytest
from kinematic_robot import Clock

from lerobot_plugins.robots.watchdog import Watchdog


class Stops:
    """Counts stops; fails while told to."""

    def __init__(self) -> None:
        self.count, self.fails = 0, False
        self.happened = threading.Event()

    def __call__(self) -> None:
        if self.fails:
            raise OSError("no way to the robot")
        self.count += 1
        self.happened.set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stops() -> Stops:
    return Stops()


@pytest.fixture
def watchdog(stops: Stops, clock: Clock) -> Watchdog:
    return Watchdog(0.5, stops, threading.RLock(), clock)


def test_it_waits_for_the_first_command(watchdog: Watchdog, stops: Stops, clock: Clock):
    clock.wait(60)
    assert not watchdog.look()
    assert stops.count == 0


def test_it_stops_once_after_the_time_out(watchdog: Watchdog, stops: Stops, clock: Clock):
    watchdog.feed()
    clock.wait(0.5)
    assert not watchdog.look()
    clock.wait(0.01)
    assert watchdog.look()
    clock.wait(60)
    assert not watchdog.look()
    assert stops.count == 1


def test_commands_keep_it_quiet_and_the_next_one_arms_it_again(
    watchdog: Watchdog, stops: Stops, clock: Clock
):
    for _ in range(10):
        watchdog.feed()
        clock.wait(0.4)
        assert not watchdog.look()
    clock.wait(0.4)
    assert watchdog.look()
    watchdog.feed()
    clock.wait(0.6)
    assert watchdog.look()
    assert stops.count == 2


def test_it_keeps_trying_when_the_robot_does_not_stop(
    watchdog: Watchdog, stops: Stops, clock: Clock, caplog: pytest.LogCaptureFixture
):
    stops.fails = True
    watchdog.feed()
    clock.wait(1)
    with caplog.at_level(logging.WARNING):
        assert not watchdog.look()
        assert not watchdog.look()
    assert caplog.text.count("could not stop the robot") == 1
    stops.fails = False
    assert watchdog.look()
    assert stops.count == 1


def test_its_thread_stops_the_robot_and_ends(stops: Stops):
    watchdog = Watchdog(0.05, stops, threading.RLock())
    watchdog.start()
    watchdog.feed()
    assert stops.happened.wait(5)
    watchdog.stop()
    watchdog.stop()
    assert "robot-watchdog" not in [thread.name for thread in threading.enumerate()]
    assert stops.count == 1
