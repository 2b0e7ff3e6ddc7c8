"""What only DDS has: discovery, quality of service, domains and network cards."""

import importlib
import logging
import random
import subprocess
import sys
import time
import uuid

import pytest

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags")

import fake_r1_dds
from fake_r1 import ARM, SAYS, TO_TORSO, FakeR1
from fake_r1_dds import BEST_EFFORT, FakeR1Dds, own_domain
from r1_peers import CONFIGS, eventually, peer, still, works

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1 import backend as backend_module
from lerobot_robot_galaxea_r1 import dds, rosbridge


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "_LISTENERS_S", 0.2)


def unconnected(**options: object) -> dds.DdsBackend:
    config = CONFIGS["galaxea_r1_lite"](backend="dds", connect_timeout_s=0.15, **options)
    return dds.DdsBackend(catalog.contract("galaxea_r1_lite"), config)


def test_where_nobody_is_it_says_so():
    number = random.randint(1, 99)
    domain = own_domain(number)
    with pytest.raises(
        ZooError, match=rf"(?s)nobody publishes .* in DDS domain {number}, see --robot\.ros_domain_id"
    ):
        unconnected(ros_domain_id=number).connect()
    del domain


def test_a_best_effort_publisher_is_heard_and_a_reliable_reader_told_so():
    with peer("dds", said=BEST_EFFORT) as robot:
        robot.backend().read()
        with pytest.raises(ZooError, match=r"best-effort only, try --robot\.reliable_feedback=false"):
            robot.backend(reliable_feedback=True, connect_timeout_s=0.15)


def test_a_reliable_listener_does_not_hear_best_effort_commands():
    with peer("dds") as robot:
        backend = robot.backend(reliable_commands=False)
        with pytest.raises(ZooError, match="nobody listens to commands"):
            backend.write(still(backend))


def test_commands_that_nobody_hears_are_refused_whole(caplog: pytest.LogCaptureFixture):
    with peer("dds") as robot:
        robot.fake.kill()
        robot.body.deaf.add(TO_TORSO)
        robot.fake.start()
        with caplog.at_level(logging.WARNING):
            backend = robot.backend()
        assert f"Nobody listens to {TO_TORSO} yet" in caplog.text
        targets = still(backend)
        with pytest.raises(ZooError, match=rf"(?s){TO_TORSO}.*command_torso=false"):
            backend.write(targets)
        time.sleep(0.05)
        assert robot.body.received == []
        robot.backend(command_torso=False).write(targets)


def test_a_name_that_is_no_text_is_named_and_harms_no_other_message():
    with peer("dds") as robot:
        backend = robot.backend()
        robot.fake.garbled = ARM["left"]
        eventually(lambda: not works(backend.read))
        with pytest.raises(ZooError, match=f"{ARM['left']} sends what cannot be read"):
            backend.read()
        robot.fake.garbled = None
        eventually(lambda: works(backend.read))


def test_sizes_of_unknown_cameras_are_refused():
    with pytest.raises(ZooError, match=r"(?s)camera_sizes names cameras.*tail.*head"):
        unconnected(camera_sizes={"tail": [48, 64]})


def test_two_robots_in_one_domain_are_not_believed():
    with peer("dds") as robot:
        backend = robot.backend()
        arm = {ARM["left"]: SAYS[ARM["left"]]}
        with FakeR1Dds(robot.fake.domain, FakeR1(), says=arm):
            eventually(lambda: not works(backend.read))
            with pytest.raises(ZooError, match=f"two programs publish {ARM['left']}"):
                backend.read()


@pytest.mark.slow
def test_a_robot_in_another_process_is_killed_and_found_again():
    number, tag = random.randint(1, 99), str(uuid.uuid4())
    domain = own_domain(number, tag)

    def start() -> subprocess.Popen:
        program = [sys.executable, fake_r1_dds.__file__, str(number), tag]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    process = start()
    backend = unconnected(ros_domain_id=number)
    backend._config.connect_timeout_s = 10.0
    try:
        backend.connect()
        for wanted in (0.1, 0.9):
            backend.write(still(backend) | {"left_gripper.pos": wanted})
            opening = pytest.approx(wanted)
            eventually(lambda opening=opening: backend.read().signals["left_gripper.pos"] == opening)
            process.kill()
            process.wait()
            eventually(lambda: not works(backend.read))
            process = start()
            eventually(lambda: works(backend.read))
            eventually(lambda: works(lambda: backend.write(still(backend))))
    finally:
        backend.disconnect()
        process.kill()
        process.communicate()
        del domain


def test_a_network_card_is_used_or_named():
    number = random.randint(1, 99)
    with pytest.raises(
        ZooError, match=r"(?s)domain \d+ cannot be opened.*network card no-such-card.*ip addr"
    ):
        unconnected(ros_domain_id=number, network_interface="no-such-card").connect()
    backend = unconnected(ros_domain_id=number, network_interface="lo")
    for _ in range(2):  # nothing of the first try is left
        with pytest.raises(ZooError, match="nobody publishes"):
            backend.connect()


def test_without_cyclonedds_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "lerobot_robot_galaxea_r1.dds_link", raising=False)
    monkeypatch.setitem(sys.modules, "cyclonedds", None)
    monkeypatch.setitem(sys.modules, "cyclonedds.core", None)
    with pytest.raises(ZooError, match=r"pip install 'lerobot_policy_zoo\[r1\]'"):
        unconnected().connect()


def test_importing_the_backends_imports_neither_dds_nor_rosbridge(monkeypatch: pytest.MonkeyPatch):
    for absent in ("cyclonedds", "roslibpy"):
        monkeypatch.setitem(sys.modules, absent, None)
    importlib.reload(dds)
    importlib.reload(rosbridge)
