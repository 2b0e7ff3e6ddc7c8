"""One line every few seconds, and the worst of what was limited in it."""

import logging

import pytest

from lerobot_plugins.robots.limit_log import LimitLog
from lerobot_plugins.robots.safety import LIMIT, RATE, Limited


def test_limits_are_said_at_once_and_then_from_time_to_time(caplog: pytest.LogCaptureFixture):
    log = LimitLog(every_s=5.0)
    with caplog.at_level(logging.INFO):
        for step in range(101):
            log.add([Limited("elbow.pos", 0.5 + step / 100, 0.5, LIMIT)], now_s=step / 10)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert "elbow.pos 0.51 -> 0.5" not in caplog.text
    assert "elbow.pos 1.01 -> 0.5 (limit, 50 times)" not in caplog.text
    assert "(limit, 1 times)" in caplog.text
    assert "elbow.pos 1 -> 0.5 (limit, 50 times)" in caplog.text


def test_rates_are_no_warning(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        LimitLog().add([Limited("elbow.pos", 0.5, 0.1, RATE)], now_s=0.0)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_many_joints_are_counted(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        LimitLog().add([Limited(f"joint{i}.pos", 1.0, 0.5, LIMIT) for i in range(9)], now_s=0.0)
    assert caplog.text.rstrip().endswith("and 5 more")


def test_nothing_limited_says_nothing(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        LimitLog().add([], now_s=0.0)
    assert not caplog.records
