"""What LeRobot asks of a robot plugin, over every robot type of this distribution; without a simulator."""

import dataclasses
import math
import sys
from pathlib import Path

import draccus
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinematic_robot import Clock, KinematicBackend
from lerobot.cameras.opencv import OpenCVCameraConfig
from lerobot.configs import FeatureType
from lerobot.policies.utils import prepare_observation_for_inference
from lerobot.robots import RobotConfig, make_robot_from_config
from lerobot.utils.feature_utils import (
    build_dataset_frame,
    dataset_to_policy_features,
    hw_to_dataset_features,
)

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.config import ZooRobotConfig
from lerobot_plugins.robots.robot import ZooRobot

ROBOTS = ("fourier_gr2", "galaxea_r1", "galaxea_r1_lite", "galaxea_r1_pro")
WIDTHS = {
    "fourier_gr2": (45, 37),
    "galaxea_r1": (18 + 3 + 16, 21),
    "galaxea_r1_lite": (17 + 3 + 15, 20),
    "galaxea_r1_pro": (20 + 3 + 18, 23),
}


@pytest.fixture(params=ROBOTS)
def robot_type(request: pytest.FixtureRequest) -> str:
    return request.param


def made(robot_type: str, folder: Path, **options: object) -> ZooRobot:
    """The robot over joints of first order, with small pictures, not connected."""
    config_class = RobotConfig.get_choice_class(robot_type)
    config = config_class(calibration_dir=folder, sim_height=24, sim_width=32, watchdog_s=0.0, **options)
    contract = catalog.contract(robot_type)
    small = dataclasses.replace(
        contract,
        cameras=tuple(dataclasses.replace(camera, height=24, width=32) for camera in contract.cameras),
    )
    clock = Clock()
    robot_class = type(make_robot_from_config(config))
    robot = robot_class(config, backend=KinematicBackend(small, clock), clock=clock)
    robot.clock = clock
    return robot


def test_lerobot_finds_config_and_robot(robot_type: str, tmp_path: Path):
    robot = make_robot_from_config(RobotConfig.get_choice_class(robot_type)(calibration_dir=tmp_path))
    assert (robot.name, robot.robot_type, robot.config.type) == (robot_type,) * 3
    assert not robot.is_connected


def test_every_signal_reaches_datasets_and_policies_in_order(robot_type: str, tmp_path: Path):
    robot, contract = made(robot_type, tmp_path), catalog.contract(robot_type)
    observed = hw_to_dataset_features(robot.observation_features, "observation")
    commanded = hw_to_dataset_features(robot.action_features, "action")
    assert observed["observation.state"]["names"] == contract.state_names
    assert commanded["action"]["names"] == contract.action_names
    shapes = (observed["observation.state"]["shape"], commanded["action"]["shape"])
    assert shapes == tuple((width,) for width in WIDTHS[robot_type])
    # lerobot-rollout drops every other scalar.
    assert all(name.endswith((".pos", ".vel")) for name in [*contract.state_names, *contract.action_names])


def test_depth_is_flagged_as_depth_and_legacy_depth_is_not(robot_type: str, tmp_path: Path):
    for depth_mode, channels in (("metric", 1), ("legacy_gray3", 3)):
        robot = made(robot_type, tmp_path, depth_mode=depth_mode)
        features = hw_to_dataset_features(robot.observation_features, "observation")
        depths = [feature for key, feature in features.items() if key.endswith("_depth")]
        assert len(depths) == sum(camera.depth for camera in catalog.contract(robot_type).cameras) > 0
        for feature in depths:
            assert feature["shape"] == (24, 32, channels)
            assert feature["info"]["is_depth_map"] == (channels == 1)


def test_an_observation_becomes_a_frame_and_a_policys_input(robot_type: str, tmp_path: Path):
    robot = made(robot_type, tmp_path)
    robot.connect()
    features = hw_to_dataset_features(robot.observation_features, "observation")
    frame = build_dataset_frame(features, robot.get_observation(), "observation")
    for key, feature in features.items():
        assert frame[key].shape == feature["shape"]
    batch = prepare_observation_for_inference(dict(frame), torch.device("cpu"), "wave", robot_type)
    for key, feature in dataset_to_policy_features(features).items():
        assert tuple(batch[key].shape) == (1, *feature.shape)
        assert feature.type in (FeatureType.STATE, FeatureType.VISUAL)
    robot.disconnect()


def test_features_do_not_change_when_it_connects(robot_type: str, tmp_path: Path):
    robot = made(robot_type, tmp_path)
    before = (dict(robot.observation_features), dict(robot.action_features))
    robot.connect()
    assert (robot.observation_features, robot.action_features) == before
    assert list(robot.get_observation()) == list(before[0])
    assert list(robot.send_action({})) == list(before[1])
    robot.disconnect()


def test_what_rollout_sends_at_shutdown_brings_it_back(robot_type: str, tmp_path: Path):
    """`_return_to_initial_position`: every `.pos` of the observation, interpolated, at 50 Hz for 3 s."""
    robot = made(robot_type, tmp_path, ramp_s=0.0)
    robot.connect()
    initial = {name: value for name, value in robot.get_observation().items() if name.endswith(".pos")}
    moved = next(
        name for name in catalog.contract(robot_type).action_names if "arm" in name or "shoulder" in name
    )
    for _ in range(20):
        robot.clock.wait(1 / 30)
        robot.send_action({moved: initial[moved] + 0.5})
    present = {name: value for name, value in robot.get_observation().items() if name in initial}
    assert present[moved] > initial[moved] + 0.3
    for step in range(1, 151):
        robot.clock.wait(1 / 50)
        share = step / 150
        robot.send_action({name: present[name] * (1 - share) + initial[name] * share for name in present})
    robot.clock.wait(0.3)
    assert robot.get_observation()[moved] == pytest.approx(initial[moved], abs=0.02)
    robot.disconnect()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_actions_stay_within_limits_and_rates(robot_type: str, data: st.DataObject, tmp_path: Path):
    robot = made(robot_type, tmp_path, ramp_s=0.0, enable_base=True, margin=10.0)
    robot.connect()
    signals = {signal.name: signal for signal in catalog.contract(robot_type).action}
    before = robot.send_action({})
    for _ in range(data.draw(st.integers(1, 4))):
        step_s = data.draw(st.floats(0.001, 0.2))
        robot.clock.wait(step_s)
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        sent = robot.send_action({name: float(rng.normal(0, 2)) for name in signals})
        for name, signal in signals.items():
            if not signal.exists or signal.lower is None:
                assert sent[name] == 0.0
                continue
            assert signal.lower <= sent[name] <= signal.upper
            slower = signal.is_velocity and abs(sent[name]) <= abs(before[name])
            assert (
                slower
                or abs(sent[name] - before[name])
                <= signal.rate * step_s + abs(before[name] if signal.is_velocity else 0) + 1e-9
            )
        before = sent
    robot.disconnect()


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1e6, "0"])
def test_any_wrong_number_moves_nothing(robot_type: str, wrong: object, tmp_path: Path):
    robot = made(robot_type, tmp_path)
    robot.connect()
    for signal in catalog.contract(robot_type).action:
        if signal.lower is None:
            continue
        with pytest.raises(ZooError, match=signal.name.replace(".", r"\.")):
            robot.send_action({signal.name: wrong})
    assert robot.backend.written == []
    robot.disconnect()


def test_options_are_drawn_on_the_command_line(robot_type: str):
    @dataclasses.dataclass
    class Options:
        robot: RobotConfig

    name = catalog.contract(robot_type).action_names[0]
    parsed = draccus.parse(
        Options,
        args=[
            f"--robot.type={robot_type}",
            "--robot.backend=replay",
            "--robot.replay_root=/data/set",
            f"--robot.limits={{{name}: [-0.1, 0.2]}}",
            f"--robot.rates={{{name}: 1}}",
            "--robot.backend_cameras=[]",
            "--robot.cameras={front: {type: opencv, index_or_path: 0, width: 64, height: 48, fps: 30}}",
        ],
    ).robot
    assert isinstance(parsed, ZooRobotConfig)
    assert (parsed.limits, parsed.rates, parsed.backend_cameras) == ({name: [-0.1, 0.2]}, {name: 1.0}, [])
    assert parsed.cameras["front"] == OpenCVCameraConfig(index_or_path=0, width=64, height=48, fps=30)
    assert draccus.decode(type(parsed), draccus.encode(parsed)) == parsed


def test_every_option_is_documented(robot_type: str):
    config_class = RobotConfig.get_choice_class(robot_type)
    documented = "".join(base.__doc__ or "" for base in config_class.__mro__)
    host = {field.name for field in dataclasses.fields(RobotConfig)}
    for field in dataclasses.fields(config_class):
        assert field.name in host or f"{field.name}: " in documented


def test_a_missing_simulator_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    config = RobotConfig.get_choice_class("fourier_gr2")(calibration_dir=tmp_path)
    robot = make_robot_from_config(config)
    with pytest.raises(ZooError, match=r"pip install 'lerobot_policy_zoo\[sim\]'"):
        robot.connect()
    assert not robot.is_connected
