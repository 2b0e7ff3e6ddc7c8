"""The chassis's stream, with a list in the robot's place."""

import logging
import math
import time

import pytest
from kinematic_robot import Clock

from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1 import chassis as module
from lerobot_robot_galaxea_r1.chassis import Chassis
from lerobot_robot_galaxea_r1.topics import CHASSIS_BRAKE, CHASSIS_LIMIT, CHASSIS_SPEED, Topic
from lerobot_robot_galaxea_r1.wire import Flag, Message, Speeds

FORWARD = {"base_x.vel": 0.2, "base_y.vel": 0.0, "base_yaw.vel": -0.1}
ZERO = Speeds([0.0] * 3, [0.0] * 3)


class Sent(list):
    """What was published, (topic, message, seconds)."""

    def __call__(self, topic: Topic, message: Message) -> None:
        self.append((topic, message, time.monotonic()))

    def speeds(self) -> list[Message]:
        return [message for topic, message, _ in self if topic is CHASSIS_SPEED]


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD_S", 0.02)
    monkeypatch.setattr(module, "VALID_S", 0.1)


@pytest.fixture
def sent() -> Sent:
    return Sent()


def test_nothing_is_sent_before_the_first_command(sent: Sent):
    chassis = Chassis(sent, [1.0, 0.5, 0.8])
    assert not chassis.was_commanded
    chassis.close()
    assert sent == []


def test_the_limit_goes_ahead_of_the_first_command(sent: Sent):
    chassis = Chassis(sent, [1.0, 0.5, 0.8], release_brake=True)
    chassis.command(FORWARD)
    assert [(topic, message) for topic, message, _ in sent[:3]] == [
        (CHASSIS_LIMIT, Speeds([1.0, 0.5, 0.0], [0.0, 0.0, 0.8])),
        (CHASSIS_BRAKE, Flag(False)),
        (CHASSIS_SPEED, Speeds([0.2, 0.0, 0.0], [0.0, 0.0, -0.1])),
    ]
    chassis.close()


def test_the_brake_is_left_alone_unasked(sent: Sent):
    chassis = Chassis(sent, [1.0, 1.0, 1.0])
    chassis.command(FORWARD)
    chassis.close()
    assert all(topic is not CHASSIS_BRAKE for topic, _, _ in sent)


def test_the_stream_goes_on_and_ends_in_zeros(sent: Sent):
    chassis = Chassis(sent, [1.0, 1.0, 1.0])
    chassis.command(FORWARD)
    time.sleep(2 * module.VALID_S)
    speeds = sent.speeds()
    assert len(speeds) >= 4
    assert speeds[0].linear[0] == 0.2
    assert speeds[-1] == ZERO  # nobody commands any more
    chassis.close()
    count = len(sent.speeds())
    time.sleep(2 * module.PERIOD_S)
    assert len(sent.speeds()) == count
    assert sent.speeds()[-3:] == [ZERO] * 3


def test_stop_is_immediate(sent: Sent):
    chassis = Chassis(sent, [1.0, 1.0, 1.0])
    chassis.command(FORWARD)
    chassis.stop()
    assert sent.speeds()[-1] == ZERO
    chassis.close()


def test_the_limit_is_repeated(sent: Sent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_LIMIT_EVERY_S", 0.05)
    chassis = Chassis(sent, [1.0, 1.0, 1.0])
    chassis.command(FORWARD)
    time.sleep(0.2)
    chassis.close()
    assert sum(topic is CHASSIS_LIMIT for topic, _, _ in sent) >= 2


def test_a_velocity_that_is_not_finite_changes_nothing(sent: Sent):
    chassis = Chassis(sent, [1.0, 1.0, 1.0])
    with pytest.raises(ZooError, match=r"target_speed_chassis: the number for base_yaw\.vel is not finite"):
        chassis.command(FORWARD | {"base_yaw.vel": math.nan})
    assert sent == []


def test_a_stream_that_breaks_is_logged_once_and_goes_on(caplog: pytest.LogCaptureFixture):
    broken = False
    sent = Sent()

    def publish(topic: Topic, message: Message) -> None:
        if broken:
            raise ZooError("the connection is down")
        sent(topic, message)

    chassis = Chassis(publish, [1.0, 1.0, 1.0])
    chassis.command(FORWARD)
    broken = True
    with caplog.at_level(logging.WARNING):
        time.sleep(5 * module.PERIOD_S)
    assert len([record for record in caplog.records if "is told nothing" in record.message]) == 1
    broken = False
    count = len(sent)
    time.sleep(5 * module.PERIOD_S)
    assert len(sent) > count
    chassis.close()


def test_a_chassis_that_stands_still_gets_its_gates_named_once(sent: Sent, caplog: pytest.LogCaptureFixture):
    clock = Clock()
    chassis = Chassis(sent, [1.0, 1.0, 1.0], clock=clock)
    chassis.command(FORWARD)
    for _ in range(50):
        clock.wait(0.1)
        chassis.command(FORWARD)
        chassis.watch(dict.fromkeys(FORWARD, 0.0))
    chassis.close()
    warnings = [record.message for record in caplog.records if "stands still" in record.message]
    assert len(warnings) == 1
    assert "release_brake" in warnings[0]
    assert "mode 5" in warnings[0]


def test_a_chassis_that_moves_gets_no_warning(sent: Sent, caplog: pytest.LogCaptureFixture):
    clock = Clock()
    chassis = Chassis(sent, [1.0, 1.0, 1.0], clock=clock)
    for _ in range(50):
        clock.wait(0.1)
        chassis.command(FORWARD)
        chassis.watch(FORWARD)
    chassis.close()
    assert caplog.records == []
