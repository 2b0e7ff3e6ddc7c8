"""What only DDS has: discovery, quality of service, domains and network cards."""

import importlib
import logging
import random
import sys
import time
from collections.abc import Callable

import pytest

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags")

from fake_r1 import ARM, SAYS, TO_TORSO, FakeR1
from fake_r1_dds import BEST_EFFORT, FakeR1Dds, own_domain, wait_for
from r1_peers import CONFIGS, peer

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1 import dds, rosbridge


def unconnected(**options: object) -> dds.DdsBackend:
    config = CONFIGS["galaxea_r1_lite"](backend="dds", connect_timeout_s=0.3, **options)
    return dds.DdsBackend(catalog.contract("galaxea_r1_lite"), config)


def still(backend: dds.DdsBackend) -> dict[str, float]:
    signals = backend.read().signals
    return {name: signals[name] for name in catalog.contract("galaxea_r1_lite").action_names}


def _fails(do: Callable[[], object]) -> bool:
    try:
        do()
    except ZooError:
        return True
    return False


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
            robot.backend(reliable_feedback=True, connect_timeout_s=0.3)


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


def test_two_robots_in_one_domain_are_not_believed():
    with peer("dds") as robot:
        backend = robot.backend()
        arm = {ARM["left"]: SAYS[ARM["left"]]}
        with FakeR1Dds(robot.fake.domain, FakeR1(), says=arm):
            wait_for(lambda: _fails(backend.read))
            with pytest.raises(ZooError, match=f"two programs publish {ARM['left']}"):
                backend.read()


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
