"""Measurements from topics, without a transport: a clock that a test sets."""

import math
from dataclasses import replace

import pytest
from kinematic_robot import Clock

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1.feedback import Feedback
from lerobot_robot_galaxea_r1.topics import Topic, feedback_topics
from lerobot_robot_galaxea_r1.wire import Joints, Speeds

LEFT, RIGHT, TORSO = "/hdas/feedback_arm_left", "/hdas/feedback_arm_right", "/hdas/feedback_torso"
GRIPPER, CHASSIS = "/hdas/feedback_gripper_left", "/motion_control/chassis_speed"
ARM = Joints([0.1, 1.0, -0.5, 0.2, 0.3, 0.4, 33.0], [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.0])
LITE_TORSO = Joints([0.2, -0.3, 0.4, 0.0], [0.0] * 4)
CONTRACT = catalog.contract("galaxea_r1_lite")


class Heard:
    """The feedback of an R1 Lite, and its time."""

    def __init__(self, **options: object) -> None:
        self.clock = Clock()
        self.feedback = Feedback(feedback_topics(CONTRACT), 0.5, clock=self.clock, **options)

    def hear(self, topic: str, message: object, **options: object) -> None:
        self.feedback.heard(topic, message, self.clock.now_s, **options)

    def hear_all(self, **instead: object) -> None:
        for topic in feedback_topics(CONTRACT).values():
            self.hear(topic.name, usual(topic))


def usual(topic: Topic) -> object:
    if topic.kind is Speeds:
        return Speeds([0.1, -0.2, 0.0], [0.0, 0.0, 0.3])
    if "gripper" in topic.name:
        return Joints([25.0])
    return LITE_TORSO if topic.name == TORSO else ARM


@pytest.fixture
def heard() -> Heard:
    made = Heard()
    made.hear_all()
    return made


def test_a_reading_holds_every_signal_in_the_contracts_units(heard: Heard):
    reading = heard.feedback.reading()
    assert sorted(reading.signals) == sorted(CONTRACT.state_names)
    assert [reading.signals[f"right_arm_joint{i + 1}.pos"] for i in range(6)] == ARM.position[:6]
    assert [reading.signals[f"right_arm_joint{i + 1}.vel"] for i in range(6)] == ARM.velocity[:6]
    assert [reading.signals[f"torso_joint{i + 1}.pos"] for i in range(3)] == [0.2, -0.3, 0.4]
    assert reading.signals["left_gripper.pos"] == 0.25
    base = [reading.signals[f"base_{axis}.vel"] for axis in ("x", "y", "yaw")]
    assert base == [0.1, -0.2, 0.3]
    assert reading.received_s == heard.clock.now_s


def test_a_reading_is_as_old_as_its_oldest_topic(heard: Heard):
    first = heard.feedback.reading()
    heard.clock.wait(0.2)
    heard.hear(LEFT, replace(ARM, position=[0.2, *ARM.position[1:]]))
    second = heard.feedback.reading()
    assert second.signals["left_arm_joint1.pos"] == 0.2
    assert (second.received_s, second.sequence) == (first.received_s, first.sequence)
    heard.hear_all()
    third = heard.feedback.reading()
    assert third.received_s == heard.clock.now_s
    assert third.sequence > first.sequence


def test_a_topic_that_was_never_heard_is_named():
    heard = Heard()
    assert len(heard.feedback.unheard()) == 6
    with pytest.raises(
        ZooError, match=rf"(?s){LEFT} was never heard.*left_arm_joint1\.pos to left_arm_joint6"
    ):
        heard.feedback.reading()


def test_a_topic_that_falls_silent_is_named(heard: Heard):
    heard.clock.wait(0.6)
    for topic in feedback_topics(CONTRACT).values():
        if topic.name != RIGHT:
            heard.hear(topic.name, usual(topic))
    assert heard.feedback.part("left_arm")["left_arm_joint1.pos"] == 0.1
    with pytest.raises(ZooError, match=rf"(?s){RIGHT} is stale.*0\.60 s old.*max_age_s"):
        heard.feedback.reading()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_named_until_the_next_message(heard: Heard, bad: float):
    heard.hear(RIGHT, replace(ARM, position=[0.1, 1.0, bad, 0.0, 0.0, 0.0, 0.0]))
    with pytest.raises(
        ZooError, match=rf"(?s){RIGHT} gives no finite position of right_arm_joint3\.pos.*{bad}"
    ):
        heard.feedback.reading()
    heard.hear(RIGHT, replace(ARM, velocity=[bad] * 7))
    with pytest.raises(ZooError, match=r"no finite velocity of right_arm_joint1\.vel"):
        heard.feedback.reading()
    heard.hear(RIGHT, replace(ARM, position=[*ARM.position[:6], bad]))  # the gripper's copy is nobody's
    assert heard.feedback.reading().signals["right_arm_joint3.pos"] == -0.5


def test_too_few_joints_are_an_error(heard: Heard):
    heard.hear(LEFT, replace(ARM, position=ARM.position[:5]))
    said = rf"(?s){LEFT} lacks the position of left_arm_joint6.*5 numbers.*robot\.type"
    with pytest.raises(ZooError, match=said):
        heard.feedback.reading()
    heard.hear(LEFT, Joints(ARM.position))
    with pytest.raises(ZooError, match=r"lacks the velocity of left_arm_joint1\.vel"):
        heard.feedback.reading()


def test_names_are_not_trusted_and_a_contradiction_is_refused(heard: Heard):
    heard.hear(RIGHT, replace(ARM, names=[f"left_arm_joint{i + 1}" for i in range(7)]))
    heard.hear(LEFT, replace(ARM, names=["", "x"]))
    heard.feedback.reading()
    names = ["arm_joint2", "arm_joint1", *(f"arm_joint{i}" for i in range(3, 7)), "gripper"]
    swapped = replace(ARM, names=names)
    heard.hear(RIGHT, swapped)
    with pytest.raises(ZooError, match=rf"(?s){RIGHT} names its joints in another order.*joint2, arm_joint1"):
        heard.feedback.reading()
    trusting = Heard(check_names=False)
    trusting.hear_all()
    trusting.hear(RIGHT, swapped)
    trusting.feedback.reading()


def test_a_fourth_torso_joint_is_another_robot(heard: Heard):
    heard.hear(TORSO, replace(LITE_TORSO, position=[0.2, -0.3, 0.4, 0.5]))
    with pytest.raises(
        ZooError, match=rf"(?s){TORSO} measures a joint that this robot does not have.*0\.5 rad"
    ):
        heard.feedback.reading()


@pytest.mark.parametrize(("mm", "unit"), [(0.0, 0.0), (100.0, 1.0), (-2.0, 0.0), (104.0, 1.0), (7.5, 0.075)])
def test_openings_end_at_the_grippers_ends(heard: Heard, mm: float, unit: float):
    heard.hear(GRIPPER, Joints([mm]))
    assert heard.feedback.reading().signals["left_gripper.pos"] == pytest.approx(unit)


def test_an_impossible_opening_is_refused(heard: Heard):
    heard.hear(GRIPPER, Joints([5000.0]))
    with pytest.raises(ZooError, match=rf"(?s){GRIPPER} gives an impossible opening.*5000 mm"):
        heard.feedback.reading()


def test_late_messages_are_old_though_they_arrive_now(heard: Heard):
    ahead_s = 1e9  # the robot's clock
    heard.hear(LEFT, replace(ARM, stamp_s=ahead_s + heard.clock.now_s))
    for late_s in (0.3, 0.6, 0.0):
        heard.clock.wait(1.0)
        for topic in feedback_topics(CONTRACT).values():
            late = late_s if topic.name == LEFT else 0.0
            stamped = replace(usual(topic), stamp_s=ahead_s + heard.clock.now_s - late)
            heard.hear(topic.name, stamped)
        if late_s > 0.5:
            with pytest.raises(ZooError, match=rf"(?s){LEFT} is stale.*0\.60 s old"):
                heard.feedback.reading()
        else:
            received_s = heard.feedback.reading().received_s
            assert received_s == pytest.approx(heard.clock.now_s - late_s, abs=2e-3)


def test_a_message_that_was_overtaken_is_dropped(heard: Heard):
    now_s = heard.clock.now_s
    heard.hear(LEFT, replace(ARM, stamp_s=now_s))
    heard.hear(LEFT, replace(ARM, position=[9.0] * 7, stamp_s=now_s - 0.01))
    assert heard.feedback.reading().signals["left_arm_joint1.pos"] == 0.1


def test_a_sender_that_starts_anew_with_another_clock_is_heard(heard: Heard):
    heard.hear(LEFT, replace(ARM, stamp_s=5000.0), sender="driver")
    heard.clock.wait(0.1)
    heard.hear(LEFT, replace(ARM, stamp_s=3.0), sender="restarted driver")
    heard.feedback.reading()


def test_two_senders_of_one_topic_are_not_believed(heard: Heard):
    for sender in ("robot", "recording", "robot"):
        heard.hear(LEFT, ARM, sender=sender)
    with pytest.raises(ZooError, match=f"two programs publish {LEFT}"):
        heard.feedback.reading()
    for _ in range(12):
        heard.clock.wait(0.1)
        heard.hear_all()
        heard.hear(LEFT, ARM, sender="robot")
    heard.feedback.reading()  # the recording is over


def test_what_a_transport_could_not_decode_is_raised(heard: Heard):
    heard.hear(LEFT, ZooError(f"{LEFT} sends junk"))
    with pytest.raises(ZooError, match="sends junk"):
        heard.feedback.reading()
    heard.hear(LEFT, ARM)
    heard.feedback.reading()


def test_a_new_connection_begins_with_nothing(heard: Heard):
    heard.feedback.forget()
    with pytest.raises(ZooError, match="never heard"):
        heard.feedback.reading()


def test_without_a_chassis_its_velocities_are_zero():
    topics = feedback_topics(CONTRACT)
    topics.pop("base")
    clock = Clock()
    feedback = Feedback(topics, 0.5, zero=("base_x.vel", "base_y.vel", "base_yaw.vel"), clock=clock)
    for topic in topics.values():
        feedback.heard(topic.name, usual(topic), clock.now_s)
    reading = feedback.reading()
    assert sorted(reading.signals) == sorted(CONTRACT.state_names)
    assert reading.signals["base_yaw.vel"] == 0
