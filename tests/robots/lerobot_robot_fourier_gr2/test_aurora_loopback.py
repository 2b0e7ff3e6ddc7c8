"""Fourier's published client against a fake Aurora server over DDS on loopback, faults included.

The server is `tests/support/fake_aurora.py`, written from the message definitions; no hardware moves.
"""

import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fourier_aurora_client")

from fake_aurora import FakeAurora

from lerobot_plugins.errors import ZooError
from lerobot_robot_fourier_gr2.config_fourier_gr2 import FourierGR2Config
from lerobot_robot_fourier_gr2.fourier_gr2 import FourierGR2

HEAD = {"head_yaw_joint.pos": 0.3, "L_index_proximal_joint.pos": -0.5}
STEP_S = 0.02
WITHIN_S = 10.0
HELD = {"left_manipulator", "right_manipulator", "head", "waist"}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAurora]:
    # Below the range of ephemeral ports: a domain's ports are 7400 + 250 * domain and the next ones.
    server = FakeAurora(random.randint(20, 99))
    yield server
    server.kill()


def robot_for(server: FakeAurora, folder: Path, **options: object) -> FourierGR2:
    config = FourierGR2Config(
        calibration_dir=folder,
        backend="aurora",
        domain_id=server.domain,
        # Patient: a machine under load hears of a peer late.
        connect_tries=10,
        connect_wait_s=0.0,
        max_age_s=1.0,
        **{"ramp_s": 0.0, "watchdog_s": 0.0, **options},  # type: ignore[arg-type]
    )
    return FourierGR2(config)


def send(robot: FourierGR2, action: dict[str, float], seconds: float) -> dict[str, float]:
    sent: dict[str, float] = {}
    end_s = time.monotonic() + seconds
    while not sent or time.monotonic() < end_s:
        sent = robot.send_action(action)
        time.sleep(STEP_S)
    return sent


def refused(robot: FourierGR2, said: str) -> None:
    """Sooner or later, actions are refused with these words."""
    with pytest.raises(ZooError, match=said):
        send(robot, HEAD, WITHIN_S)


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(STEP_S)


def received_until_silence(server: FakeAurora) -> dict[str, list]:
    """All commands that are still on their way."""
    received = server.received()
    while True:
        time.sleep(0.1)
        more = server.received()
        if not any(more.values()):
            return received
        received = {kind: received[kind] + more[kind] for kind in received}


def arrived(sent: dict[str, float]) -> bool:
    """Whether every joint of `HEAD` was sent to where it was asked for; they take different times."""
    return all(abs(sent[name] - asked) < 1e-6 for name, asked in HEAD.items())


def obeys_again(robot: FourierGR2) -> bool:
    try:
        send(robot, HEAD, 0.05)
    except ZooError:
        return False
    return True


def numbers(commands: list[dict[str, list[float]]]) -> list[float]:
    return [value for command in commands for values in command.values() for value in values]


def test_one_connection_from_its_beginning_to_its_end(server: FakeAurora, tmp_path: Path):
    """Connecting, joints, each fault and recovery from it, over one connection."""
    robot = robot_for(server, tmp_path)
    robot.connect()
    try:
        observation = robot.get_observation()
        assert observation["base_pos_z.pos"] == 0.9
        assert observation["L_index_proximal_joint.pos"] == pytest.approx(0.17 - 0.2)
        assert not any(received_until_silence(server).values())

        until(lambda: arrived(send(robot, HEAD, 0.0)))
        until(lambda: abs(robot.get_observation()["head_yaw_joint.pos"] - 0.3) < 0.01)
        last = received_until_silence(server)["groups"][-1]
        assert {group: len(values) for group, values in last.items()} == {
            "left_manipulator": 7,
            "right_manipulator": 7,
            "left_hand": 6,
            "right_hand": 6,
            "head": 2,
            "waist": 1,
        }
        assert last["left_hand"][0] == pytest.approx(0.67)

        server.tell(reverse_groups=True)  # they have names
        time.sleep(0.1)
        assert robot.get_observation()["head_yaw_joint.pos"] == pytest.approx(0.3, abs=0.01)
        server.tell(reverse_groups=False, drop=0.5)  # half of all packets, both ways
        send(robot, HEAD, 0.4)
        server.tell(drop=0.0)

        for fault, repair, said, unheld in (
            ({"nan": {"head": 0}}, {"nan": {}}, "head_yaw_joint.pos is not finite", ["head"]),
            ({"order": {"waist": [0, 0, 0]}}, {"order": {}}, "group waist in another number", ["waist"]),
            ({"order": {"left_hand": [0, 1]}}, {"order": {}}, "group left_hand in another number", []),
            ({"frozen": ["groups"]}, {"frozen": []}, "stale", HELD),
            ({"fsm": 9}, {"fsm": 11}, "9 SecurityProtection", HELD),
        ):
            server.tell(**fault)
            refused(robot, said)
            received_until_silence(server)
            for _ in range(3):
                with pytest.raises(ZooError, match=said):
                    robot.send_action(HEAD)
            received = received_until_silence(server)
            # What is sent by stopping: the groups that are known, held where they are.
            assert all(set(command) == HELD - set(unheld) for command in received["groups"]), fault
            assert bool(received["groups"]) == (len(unheld) < len(HELD))
            server.tell(**repair)
            until(lambda: obeys_again(robot))
            received = received_until_silence(server)
            assert received["groups"]
            assert all(map(math.isfinite, numbers(received["groups"])))
            assert received["fsm"] == received["other"] == received["velocity"] == []
    finally:
        robot.disconnect()


@pytest.mark.slow
def test_a_server_that_dies_and_comes_back(tmp_path: Path):
    server = FakeAurora(random.randint(20, 99))
    robot = robot_for(server, tmp_path)
    try:
        robot.connect()
        send(robot, HEAD, 0.1)
        server.kill()
        refused(robot, "stale")
        with pytest.raises(ZooError, match="stale"):
            robot.get_observation()
        server.options = {"fsm": 0}  # what a robot does after a restart
        server.start()
        robot.disconnect()
        with pytest.raises(ZooError, match="0 Default"):
            robot.connect()
        server.tell(fsm=11)
        robot.connect()
        send(robot, HEAD, 0.3)
        until(lambda: bool(server.received()["groups"]))
    finally:
        robot.disconnect()
        server.kill()


def test_walking_ends_when_the_connection_does(server: FakeAurora, tmp_path: Path):
    server.tell(fsm=2, source=0)
    robot = robot_for(server, tmp_path, fsm_state=3, allow_fsm_change=True, enable_base=True)
    robot.connect()
    received = server.received()
    assert set(received["fsm"]) == {3}
    assert set(received["source"]) == {2}
    send(robot, {"base_vel_x.vel": 0.2}, 0.4)
    robot.disconnect()
    received = received_until_silence(server)
    assert max(command[0] for command in received["velocity"]) == pytest.approx(0.2)
    assert received["velocity"][-1] == [0.0, 0.0, 0.0, 1.0]
    assert received["groups"] == []


@pytest.mark.slow
def test_without_a_server_connecting_is_a_clear_error(tmp_path: Path):
    config = FourierGR2Config(
        calibration_dir=tmp_path, backend="aurora", domain_id=random.randint(20, 99), connect_tries=1
    )
    robot = FourierGR2(config)
    with pytest.raises(ZooError, match=r"(?s)no Aurora server answers.*nobody publishes aurora_state"):
        robot.connect()
    assert not robot.is_connected
