"""What only rosbridge has: one connection, JSON, and what it refuses."""

import sys
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("roslibpy")

import fake_rosbridge
from fake_r1 import ARM, JOINT_STATE, LISTENS, TO_ARM, TO_CHASSIS, TO_LIMIT
from r1_peers import CONFIGS, Peer, error_of, eventually, peer, still, works

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1 import rosbridge_link
from lerobot_robot_galaxea_r1.rosbridge import RosbridgeBackend


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosbridge_link, "_RETRY_S", 0.05)
    monkeypatch.setattr(rosbridge_link, "_LONGEST_RETRY_S", 0.2)


@pytest.fixture
def robot() -> Iterator[Peer]:
    with peer("rosbridge") as reached:
        yield reached


def test_where_no_bridge_is_it_names_the_address(robot: Peer):
    robot.fake.kill()
    with pytest.raises(
        ZooError, match=rf"(?s)no rosbridge answers.*127\.0\.0\.1:{robot.fake.port} in 0\.15 s"
    ):
        robot.backend(connect_timeout_s=0.15)
    opened = robot.fake.opened
    robot.fake.start()
    time.sleep(0.3)  # longer than the pause between two tries
    assert robot.fake.opened == opened, "it gave up and connects nevertheless"


def test_what_is_no_message_is_named_by_topic(robot: Peer):
    backend = robot.backend()
    for junk in (
        {},
        {"header": None},
        7,
        "text",
        {"header": {"stamp": {"sec": 1, "nanosec": 0}}, "position": "x"},
    ):
        robot.fake.junk[ARM["left"]] = junk
        eventually(lambda: ARM["left"] in error_of(backend.read))
        assert f"{ARM['left']} sends something else than sensor_msgs/JointState" in error_of(backend.read)
        robot.fake.junk.clear()
        eventually(lambda: not error_of(backend.read))


def test_what_the_bridge_refuses_is_raised_once(robot: Peer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(LISTENS, TO_ARM["left"], "std_msgs/Bool")
    backend = robot.backend()
    eventually(lambda: "is of another type" in error_of(backend.read))
    assert error_of(backend.read) == ""
    backend.write(still(backend))
    eventually(lambda: "was not advertised" in error_of(backend.read))


def test_nothing_is_kept_for_a_later_connection(robot: Peer):
    backend = robot.backend(max_age_s=5.0)
    wanted = still(backend)
    robot.fake.kill()
    eventually(lambda: "is down" in error_of(lambda: backend.write(wanted)))
    for _ in range(20):
        assert error_of(lambda: backend.write(wanted))
    robot.body.received.clear()
    robot.fake.start()
    eventually(lambda: not error_of(backend.read))
    time.sleep(0.1)
    assert robot.body.received == []


def test_a_dead_peer_is_dropped_and_found_again(robot: Peer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rosbridge_link, "_PING_S", 0.4)
    monkeypatch.setattr(rosbridge_link, "_HANDSHAKE_S", 0.3)
    backend = robot.backend(max_age_s=0.3, enable_base=True)
    eventually(lambda: works(lambda: backend.write(still(backend))))
    robot.fake.silent = True  # as if its cable was pulled: nobody closes the connection
    eventually(lambda: "is down" in error_of(backend.read))
    robot.body.received.clear()
    robot.fake.silent = False
    eventually(lambda: not error_of(backend.read))
    assert {topic for _, topic, _ in robot.body.received} <= {TO_CHASSIS, TO_LIMIT}


def test_a_stale_connection_ends_with_disconnect(robot: Peer):
    backend = robot.backend()
    robot.fake.kill()
    eventually(lambda: "is down" in error_of(backend.read))
    backend.disconnect()
    opened = robot.fake.opened
    robot.fake.start()
    time.sleep(0.3)
    assert robot.fake.opened == opened


def test_nan_is_null_in_json():
    assert fake_rosbridge._as_json({"position": [float("nan"), 1.0]}) == {"position": [None, 1.0]}
    assert LISTENS[TO_ARM["left"]] == JOINT_STATE


def test_without_roslibpy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "lerobot_robot_galaxea_r1.rosbridge_link", raising=False)
    monkeypatch.setitem(sys.modules, "roslibpy", None)
    config = CONFIGS["galaxea_r1_lite"](backend="rosbridge")
    with pytest.raises(ZooError, match=r"pip install 'lerobot_policy_zoo\[r1\]'"):
        RosbridgeBackend(catalog.contract("galaxea_r1_lite"), config).connect()
