"""Both transports against a fake robot on loopback, faults included. No hardware moves."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import simplejpeg
from fake_r1 import (
    ARM,
    CHASSIS,
    HEAD,
    LISTENS,
    TO_ARM,
    TO_CHASSIS,
    TO_GRIPPER,
    TO_LIMIT,
    TO_TORSO,
    TORSO,
    WRIST_DEPTH,
)
from r1_peers import Peer, error_of, eventually, peer, still, works

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1.galaxea_r1 import GalaxeaR1Lite


@pytest.fixture(params=["dds", "rosbridge"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "dds":
        pytest.importorskip("cyclonedds")
        pytest.importorskip("rosbags")
    else:
        pytest.importorskip("roslibpy")
    return request.param


@pytest.fixture
def robot(transport: str) -> Iterator[Peer]:
    with peer(transport) as reached:
        yield reached


def eventually_raises(do: Callable[[], Any], said: str) -> None:
    """Sooner or later it raises this and nothing else."""
    eventually(lambda: error_of(do))
    with pytest.raises(ZooError, match=said):
        do()


def targets(backend: Any, **changed: float) -> dict[str, float]:
    """Stay as measured, but for what changes (`left_arm_joint1=0.3`)."""
    same = still(backend)
    return same | {next(n for n in same if n.startswith(name)): value for name, value in changed.items()}


@pytest.mark.parametrize("robot_type", ["galaxea_r1", "galaxea_r1_lite", "galaxea_r1_pro"])
def test_each_robot_is_measured_and_told(transport: str, robot_type: str):
    with peer(transport, robot_type) as robot:
        body, contract = robot.body, catalog.contract(robot_type)
        measured = dict(body.position)
        backend = robot.backend()
        signals = backend.read().signals
        assert sorted(signals) == sorted(contract.state_names)
        right = [signals[f"right_arm_joint{i + 1}.pos"] for i in range(body.arm_joints)]
        assert right == measured[ARM["right"]]
        assert signals["left_arm_joint3.vel"] == pytest.approx(0.03)
        assert [signals[f"torso_joint{i + 1}.pos"] for i in range(body.torso_joints)] == measured[TORSO]
        assert signals["left_gripper.pos"] == pytest.approx(0.4)

        wanted = targets(backend, right_arm_joint1=0.15, left_gripper=0.9, base_x=0.3)
        backend.write(wanted)
        eventually(
            lambda: all(body.of(topic) for topic in (*TO_ARM.values(), *TO_GRIPPER.values(), TO_TORSO))
        )
        assert body.of(TO_ARM["right"])[0]["position"] == [0.15, *measured[ARM["right"]][1:]]
        assert body.of(TO_ARM["left"])[0]["position"] == measured[ARM["left"]]
        assert body.of(TO_GRIPPER["left"])[0]["position"] == pytest.approx([90.0])
        assert body.of(TO_TORSO)[0]["velocity"] == [0.5] * body.torso_joints
        eventually(lambda: backend.read().signals["left_gripper.pos"] == pytest.approx(0.9))
        # The base is not enabled: nothing at all goes to the chassis.
        assert not body.of(TO_CHASSIS)
        assert not body.of(TO_LIMIT)


def test_the_chassis_gets_its_limit_first_and_then_a_stream(robot: Peer):
    body, backend = robot.body, robot.backend(enable_base=True, chassis_acc_limit=[0.5, 0.6, 0.7])
    backend.hold()
    assert not body.of(TO_CHASSIS)  # not touched before it is commanded
    wanted = targets(backend, base_x=0.2, base_yaw=-0.1)
    backend.write(wanted)
    began_s = time.monotonic()
    moved = False
    while time.monotonic() - began_s < 0.3:
        backend.write(wanted)
        moved = moved or backend.read().signals["base_x.vel"] == 0.2
        time.sleep(0.12)  # slower than the chassis wants it
    eventually(lambda: backend.read().signals["base_x.vel"] == 0)  # nobody commands any more
    chassis = [(at_s, topic) for at_s, topic, _ in body.received if topic in (TO_CHASSIS, TO_LIMIT)]
    assert chassis[0][1] == TO_LIMIT
    assert body.limit == [0.5, 0.6, 0.7]
    assert moved
    first = body.of(TO_CHASSIS)[0]["twist"]
    assert (first["linear"]["x"], first["angular"]["z"]) == (0.2, -0.1)
    assert len(chassis) >= 10 * (time.monotonic() - began_s)
    backend.write(wanted)
    backend.disconnect()
    eventually(lambda: body.speed == [0, 0, 0])
    time.sleep(0.1)  # what is on its way
    count = len(body.of(TO_CHASSIS))
    time.sleep(0.1)
    assert len(body.of(TO_CHASSIS)) == count


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 40.0])
def test_what_is_wrong_sends_nothing_at_all(robot: Peer, wrong: float):
    backend = robot.backend(enable_base=True)
    for name in (
        ("right_gripper",) if wrong == 40 else ("left_arm_joint2", "right_gripper", "torso", "base_y")
    ):
        with pytest.raises(ZooError, match=rf"/motion_target/\w+: the .* {name}"):
            backend.write(targets(backend, **{name: wrong}))
    incomplete = targets(backend)
    del incomplete["torso_joint2.pos"]
    with pytest.raises(ZooError, match=r"torso_joint2\.pos"):
        backend.write(incomplete)
    with pytest.raises(ZooError, match="tail"):
        backend.write({**targets(backend), "tail.pos": 0.0})
    time.sleep(0.05)
    assert robot.body.received == []


def test_nan_is_named_and_the_arm_is_sent_nothing(robot: Peer):
    body, backend = robot.body, robot.backend()
    body.nan[ARM["right"]] = 3
    eventually_raises(backend.read, rf"{ARM['right']} gives no finite position of right_arm_joint4\.pos")
    with pytest.raises(ZooError, match="right_arm_joint4"):
        backend.hold()
    eventually(lambda: body.of(TO_ARM["left"]) and body.of(TO_TORSO))
    assert body.of(TO_ARM["left"])[-1]["position"] == body.position[ARM["left"]][:6]
    assert not body.of(TO_ARM["right"])
    assert not body.of(TO_GRIPPER["left"])  # what a gripper holds is not let go
    body.nan.clear()
    eventually(lambda: works(backend.read))


def test_short_and_reordered_joints_are_named(robot: Peer):
    body, backend = robot.body, robot.backend()
    body.count[ARM["left"]] = 4
    eventually_raises(backend.read, rf"(?s){ARM['left']} lacks the position of left_arm_joint5.*4 numbers")
    body.count.clear()
    eventually(lambda: works(backend.read))
    body.names[ARM["left"]] = [f"joint{i}" for i in (2, 1, 3, 4, 5, 6, 7)]
    eventually_raises(backend.read, rf"{ARM['left']} names its joints in another order")
    body.names.clear()
    eventually(lambda: works(backend.read))
    body.fourth_torso_joint = 0.7
    eventually_raises(backend.read, f"{TORSO} measures a joint that this robot does not have")


def test_a_silent_topic_and_late_messages_are_stale(robot: Peer):
    body, backend = robot.body, robot.backend(max_age_s=0.4)
    body.frozen.add(CHASSIS)
    eventually_raises(backend.read, f"{CHASSIS} is stale")
    body.frozen.clear()
    eventually(lambda: works(backend.read))
    body.late_s = 3.0
    eventually_raises(backend.read, r"(?s)/\w+/\w+ is stale.*[23]\.\d+ s old")
    for part in ("left_arm", "right_arm", "torso"):
        eventually_raises(lambda part=part: backend._feedback.part(part), "is stale")
    with pytest.raises(ZooError, match="is stale"):
        backend.hold()
    time.sleep(0.1)
    assert robot.body.received == []  # a hold is a command, too: never one to an old position
    body.late_s = 0.0
    eventually(lambda: works(backend.read))


def test_lost_packets_do_no_harm(robot: Peer):
    body, backend = robot.body, robot.backend()
    body.drop = 0.7
    sequences = set()
    until_s = time.monotonic() + 0.3
    while time.monotonic() < until_s or len(body.received) < 5:
        sequences.add(backend.read().sequence)
        backend.write(targets(backend))
        time.sleep(0.01)
    assert len(sequences) > 3
    for topic, message in ((topic, message) for _, topic, message in body.received):
        assert all(map(math.isfinite, message["position"])), topic


def test_death_and_restart(robot: Peer):
    body, backend = robot.body, robot.backend(max_age_s=0.5, enable_base=True)
    wanted = targets(backend, left_arm_joint1=0.2, base_x=0.1)
    backend.write(wanted)
    eventually(lambda: body.of(TO_ARM["left"]))
    robot.fake.kill()
    eventually_raises(backend.read, "is stale|is down")
    eventually_raises(lambda: backend.write(wanted), "nobody listens|is down")
    with pytest.raises(ZooError):
        backend.hold()
    assert backend.is_connected
    body.received.clear()
    robot.fake.start()
    eventually(lambda: works(backend.read))
    # Nothing of before is delivered now; the stream to the chassis says 0.
    assert not body.of(TO_ARM["left"])
    eventually(lambda: body.of(TO_CHASSIS))
    assert all(not any(message["twist"]["linear"].values()) for message in body.of(TO_CHASSIS))
    eventually(lambda: works(lambda: backend.write(targets(backend))))
    eventually(lambda: body.of(TO_ARM["left"]))


def test_connecting_twice_and_again(robot: Peer):
    backend = robot.backend()
    backend.connect()
    backend.disconnect()
    backend.disconnect()
    assert not backend.is_connected
    for refused in (backend.read, backend.hold, lambda: backend.write({}), lambda: backend.picture("head")):
        with pytest.raises(ZooError, match="galaxea_r1_lite is not connected"):
            refused()
    backend.connect()
    backend.write(targets(backend))
    eventually(lambda: robot.body.of(TO_TORSO))


def test_what_a_robot_does_not_say_is_named(robot: Peer):
    robot.body.frozen |= {TORSO, CHASSIS}
    with pytest.raises(
        ZooError, match=rf"(?s)does not say everything.*{TORSO}, {CHASSIS}.*6 topics within 0\.15 s"
    ):
        robot.backend(connect_timeout_s=0.15)
    assert not robot.made[0].is_connected
    robot.body.frozen = {CHASSIS}
    backend = robot.backend(use_chassis=False)
    assert backend.read().signals["base_x.vel"] == 0
    assert robot.body.received == []


def test_a_torso_may_be_left_alone(robot: Peer):
    backend = robot.backend(command_torso=False)
    assert backend.unobeyed == {f"torso_joint{i}.pos" for i in (1, 2, 3)}
    backend.write(targets(backend))
    backend.hold()
    eventually(lambda: len(robot.body.of(TO_ARM["left"])) == 2)
    assert not robot.body.of(TO_TORSO)


def test_pictures(robot: Peer):
    body, backend = robot.body, robot.backend(backend_cameras=["head", "left_wrist"], max_age_s=0.5)
    assert np.array_equal(backend.picture("head").rgb, simplejpeg.decode_jpeg(body.jpeg))
    depth_mm = backend.picture("left_wrist").depth_mm
    assert np.array_equal(depth_mm[..., 0], body.depth_mm)
    body.frozen.add(WRIST_DEPTH)
    eventually_raises(lambda: backend.picture("left_wrist"), f"{WRIST_DEPTH}: the picture is stale")
    body.jpeg = body.jpeg[:-200]
    eventually_raises(lambda: backend.picture("head"), f"{HEAD}: the JPEG picture is damaged")
    with pytest.raises(ZooError, match="this camera is not listened to"):
        backend.picture("right_wrist")


def test_a_robot_of_lerobot_stops_on_a_fault_and_goes_on_after_it(robot: Peer):
    body = robot.body
    lerobot = GalaxeaR1Lite(
        robot.config(ramp_s=0.0, watchdog_s=0.2, enable_base=True, backend_cameras=["head"], max_age_s=1.0)
    )
    lerobot.connect()
    try:
        assert lerobot.get_observation()["head"].shape == (48, 64, 3)
        go = {"left_arm_joint1.pos": 0.3, "base_x.vel": 0.1}
        eventually(lambda: lerobot.send_action(go)["base_x.vel"] == pytest.approx(0.1))
        body.nan[ARM["left"]] = 0
        eventually_raises(lambda: lerobot.send_action(go), r"no finite position of left_arm_joint1\.pos")
        eventually(lambda: body.speed == [0, 0, 0])
        stopped = len(body.of(TO_ARM["left"]))
        time.sleep(0.1)
        assert len(body.of(TO_ARM["left"])) == stopped
        body.nan.clear()
        eventually(lambda: works(lambda: lerobot.send_action(go)))
        eventually(lambda: body.speed[0] > 0 or not lerobot.send_action(go))
        # Nobody commands any more: the watchdog holds.
        eventually(lambda: body.speed == [0, 0, 0])
    finally:
        lerobot.disconnect()
    assert {topic for _, topic, _ in body.received} <= set(LISTENS)
    for _, topic, message in body.received:
        if topic in TO_ARM.values():
            assert len(message["position"]) == 6
            assert all(map(math.isfinite, message["position"]))
