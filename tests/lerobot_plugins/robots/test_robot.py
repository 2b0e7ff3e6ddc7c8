"""The robot as LeRobot's commands meet it, over a backend without a simulator."""

import logging
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from kinematic_robot import SMALL, Clock, KinematicBackend
from small_robot import Small, small_robot

from lerobot_plugins.errors import ZooError

Setup = tuple[Small, KinematicBackend, Clock]


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with small_robot(tmp_path) as made:
        made[0].connect()
        yield made


def drive(setup: Setup, action: dict, seconds: float = 1.0, step_s: float = 0.05) -> dict:
    robot, _, clock = setup
    sent: dict = {}
    for _ in range(round(seconds / step_s)):
        clock.wait(step_s)
        sent = robot.send_action(action)
    return sent


def test_features_are_readable_while_disconnected(tmp_path: Path):
    with small_robot(tmp_path) as (robot, backend, _):
        assert list(robot.observation_features) == [*SMALL.state_names, "head", "head_depth", "wrist"]
        assert robot.observation_features["head_depth"] == (12, 16, 1)
        assert robot.observation_features["wrist"] == (12, 16, 3)
        assert robot.action_features == dict.fromkeys(SMALL.action_names, float)
        assert list(robot.cameras) == ["head", "wrist"]
        assert backend.calls == []


def test_an_observation_is_what_the_features_say(setup: Setup):
    robot = setup[0]
    observation = robot.get_observation()
    assert list(observation) == list(robot.observation_features)
    for name, kind in robot.observation_features.items():
        value = observation[name]
        if kind is float:
            assert type(value) is float
        else:
            assert value.shape == kind
            assert value.dtype == (np.uint16 if kind[2] == 1 else np.uint8)


def test_what_is_returned_is_what_the_backend_got(setup: Setup):
    sent = drive(setup, {"shoulder.pos": torch.tensor(0.4), "elbow.pos": np.float32(-0.2), "absent.pos": 0})
    assert sent["shoulder.pos"] == pytest.approx(0.4)
    assert setup[1].written[-1] == {name: sent[name] for name in sent if name != "absent.pos"}
    assert setup[0].get_observation()["shoulder.pos"] == pytest.approx(0.4, abs=0.01)


def test_what_the_backend_does_not_obey_is_not_returned_as_sent(setup: Setup):
    setup[1].unobeyed = frozenset({"elbow.pos"})  # type: ignore[attr-defined]
    assert drive(setup, {"elbow.pos": -0.2})["elbow.pos"] == 0.0


def test_a_refused_action_stops_the_robot_and_sends_nothing(setup: Setup):
    robot, backend, clock = setup
    drive(setup, {"shoulder.pos": 1.5}, seconds=0.3)
    written = len(backend.written)
    clock.wait(0.05)
    with pytest.raises(ZooError, match=r"shoulder\.pos is not finite"):
        robot.send_action({"shoulder.pos": math.nan})
    assert backend.calls[-1] == "hold"
    assert len(backend.written) == written
    stopped = robot.get_observation()["shoulder.pos"]
    clock.wait(5)
    assert robot.get_observation()["shoulder.pos"] == pytest.approx(stopped)


def test_it_goes_on_from_where_it_was_stopped(setup: Setup):
    robot, _, clock = setup
    drive(setup, {"shoulder.pos": 1.5}, seconds=0.3)
    with pytest.raises(ZooError):
        robot.send_action({"nothing.pos": 0.0})
    clock.wait(0.1)
    stopped = robot.get_observation()["shoulder.pos"]
    assert robot.send_action({"shoulder.pos": 1.5})["shoulder.pos"] == pytest.approx(stopped)
    assert drive(setup, {"shoulder.pos": 1.5})["shoulder.pos"] == pytest.approx(1.5)


def test_a_robot_that_was_never_commanded_is_left_alone(setup: Setup):
    robot, backend, _ = setup
    with pytest.raises(ZooError):
        robot.send_action({"shoulder.pos": math.inf})
    robot.disconnect()
    assert backend.calls == ["connect", "disconnect"]


def test_a_stale_measurement_is_an_error_and_never_used_again(setup: Setup):
    robot, backend, clock = setup
    drive(setup, {"shoulder.pos": 0.1})
    backend.frozen = True
    clock.wait(0.6)
    with pytest.raises(ZooError, match="measurement is stale"):
        robot.get_observation()
    written = len(backend.written)
    with pytest.raises(ZooError, match="measurement is stale"):
        robot.send_action({"shoulder.pos": 0.2})
    assert len(backend.written) == written
    backend.frozen = False
    assert robot.get_observation()["shoulder.pos"] == pytest.approx(0.1, abs=0.01)


def test_a_measurement_that_is_not_finite_is_an_error(setup: Setup):
    robot, backend, _ = setup
    backend.reported = {"elbow.pos": math.nan}
    with pytest.raises(ZooError, match=r"measured elbow.pos is not finite"):
        robot.get_observation()
    with pytest.raises(ZooError, match=r"measured elbow.pos is not finite"):
        robot.send_action({})
    assert backend.written == []


def test_connecting_and_disconnecting_twice_is_once(tmp_path: Path):
    with small_robot(tmp_path) as (robot, backend, _):
        robot.disconnect()
        robot.connect()
        robot.connect()
        assert robot.is_connected
        assert all(camera.is_connected for camera in robot.cameras.values())
        robot.disconnect()
        robot.disconnect()
        assert backend.calls.count("connect") == 1
        assert not robot.is_connected
        with pytest.raises(ZooError, match="small is not connected"):
            robot.get_observation()
        with pytest.raises(ZooError, match="small is not connected"):
            robot.send_action({})


def test_disconnecting_zeroes_velocities_first(tmp_path: Path):
    with small_robot(tmp_path, enable_base=True) as setup:
        setup[0].connect()
        assert drive(setup, {"base_x.vel": 0.5})["base_x.vel"] == 0.5
        setup[0].disconnect()
        assert setup[1].calls[-2:] == ["hold", "disconnect"]
        assert setup[1].target["base_x.vel"] == 0.0


def test_it_disconnects_from_a_robot_that_no_longer_answers(setup: Setup, caplog: pytest.LogCaptureFixture):
    robot, backend, _ = setup
    drive(setup, {"shoulder.pos": 0.1})
    backend.hold = lambda: (_ for _ in ()).throw(ZooError("no way to the robot"))
    with caplog.at_level(logging.ERROR):
        robot.disconnect()
    assert not robot.is_connected
    assert "The robot could not stop" in caplog.text


def test_a_robot_in_another_mode_is_not_connected(tmp_path: Path):
    with small_robot(tmp_path) as (robot, backend, _):

        def refuse() -> None:
            raise ZooError("the robot is in another mode", got="2 PdStand", expected="11 UpperBodyUserCmd")

        backend.verify_mode = refuse
        with pytest.raises(ZooError, match="another mode"):
            robot.connect()
        assert not robot.is_connected
        assert backend.calls == ["connect", "disconnect"]


def test_the_watchdog_holds_when_commands_stop(tmp_path: Path):
    with small_robot(tmp_path, enable_base=True, watchdog_s=0.5) as setup:
        robot, backend, clock = setup
        robot.connect()
        robot._watchdog.stop()  # the test looks instead of the thread
        drive(setup, {"base_x.vel": 0.5, "shoulder.pos": 1.5}, seconds=0.3)
        clock.wait(0.51)
        assert robot._watchdog.look()
        assert backend.calls[-1] == "hold"
        assert backend.target["base_x.vel"] == 0.0
        clock.wait(1)
        held = robot.get_observation()["shoulder.pos"]
        assert robot.send_action({"shoulder.pos": 1.5})["shoulder.pos"] == pytest.approx(held)


def test_the_watchdog_is_on_by_default_and_ends_with_the_connection(tmp_path: Path):
    def alive() -> bool:
        return "robot-watchdog" in [thread.name for thread in threading.enumerate()]

    with small_robot(tmp_path, watchdog_s=0.5) as (robot, _, _):
        robot.connect()
        assert alive()
        robot.disconnect()
        assert not alive()


def test_a_dry_run_checks_and_sends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with small_robot(tmp_path, dry_run=True) as setup:
        robot, backend, _ = setup
        robot.connect()
        with caplog.at_level(logging.INFO):
            sent = drive(setup, {"shoulder.pos": 0.3})
        assert sent["shoulder.pos"] == pytest.approx(0.3)
        assert "Dry run, would send: shoulder.pos=0" in caplog.text
        with pytest.raises(ZooError):
            robot.send_action({"shoulder.pos": math.nan})
        robot.disconnect()
        assert backend.calls == ["connect", "disconnect"]


def test_what_rollout_sends_at_shutdown_is_understood(setup: Setup):
    """Every `.pos` of the observation, without velocities, some of them no action."""
    robot = setup[0]
    initial = {name: value for name, value in robot.get_observation().items() if name.endswith(".pos")}
    assert "heading.pos" in initial
    drive(setup, {"shoulder.pos": 0.5, "elbow.pos": -0.5})
    drive(setup, initial)
    assert robot.get_observation()["shoulder.pos"] == pytest.approx(0.0, abs=0.01)


def test_legacy_depth_is_grey_and_no_depth_feature(tmp_path: Path):
    with small_robot(tmp_path, depth_mode="legacy_gray3") as (robot, _, _):
        robot.connect()
        picture = robot.get_observation()["head_depth"]
        assert robot.observation_features["head_depth"] == picture.shape == (12, 16, 3)
        assert picture.dtype == np.uint8
        assert picture.max() == 255


def test_cameras_of_the_backend_can_be_chosen(tmp_path: Path):
    with small_robot(tmp_path, backend_cameras=["wrist"], use_depth=False) as (robot, _, _):
        assert list(robot.cameras) == ["wrist"]
    with small_robot(tmp_path, use_depth=False) as (robot, _, _):
        assert "head_depth" not in robot.observation_features
    with (
        pytest.raises(ZooError, match="small does not show"),
        small_robot(tmp_path, backend_cameras=["top"]),
    ):
        pass


def test_pictures_of_a_simulation_have_the_chosen_size(tmp_path: Path):
    with small_robot(tmp_path, sim_height=24, sim_width=32) as (robot, _, _):
        robot.connect()
        assert robot.observation_features["head"] == (24, 32, 3)
        with pytest.raises(ZooError, match=r"picture of head[\s\S]*uint8 \(12, 16, 3\)[\s\S]*\(24, 32, 3\)"):
            robot.get_observation()


def test_calibrating_is_nothing(setup: Setup):
    robot, backend, _ = setup
    assert robot.is_calibrated
    robot.calibrate()
    assert backend.written == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "dds"}, r"robot.backend is unknown\n  got:      dds\n  expected: sim or replay"),
        ({"depth_mode": "grey"}, "robot.depth_mode is unknown"),
        ({"watchdog_s": -1.0}, "robot.watchdog_s is out of range"),
        ({"max_age_s": math.nan}, "robot.max_age_s is out of range"),
        ({"sim_height": 0}, "robot.sim_height is out of range"),
        ({"limits": {"elbow": [0.0, 1.0]}}, "robot.limits names no commanded signal"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict, said: str):
    with pytest.raises(ZooError, match=said), small_robot(tmp_path, **options):
        pass
