from dataclasses import dataclass
from pathlib import Path

import draccus
import pytest
from lerobot.robots import RobotConfig

from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1.config_galaxea_r1 import GalaxeaR1LiteConfig, GalaxeaR1ProConfig


def test_the_pro_has_its_own_domain(tmp_path: Path):
    assert GalaxeaR1ProConfig(calibration_dir=tmp_path).ros_domain_id == 41


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ros_domain_id", 233),
        ("rosbridge_port", 0),
        ("connect_timeout_s", 0.0),
        ("chassis_acc_limit", [1.0, 1.0]),
        ("chassis_acc_limit", [1.0, 1.5, 1.0]),
        ("chassis_acc_limit", [0.0, 1.0, 1.0]),
        ("camera_sizes", {"head": [720]}),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, option: str, value: object):
    with pytest.raises(ZooError, match=rf"robot\.{option} is wrong"):
        GalaxeaR1LiteConfig(calibration_dir=tmp_path, **{option: value})


def test_a_base_needs_its_chassis(tmp_path: Path):
    with pytest.raises(ZooError, match=r"robot\.use_chassis is wrong"):
        GalaxeaR1LiteConfig(calibration_dir=tmp_path, use_chassis=False, enable_base=True)


@dataclass
class Command:
    robot: RobotConfig


def test_options_come_from_a_command_line():
    config = draccus.parse(
        Command,
        args=[
            "--robot.type=galaxea_r1_lite",
            "--robot.backend=dds",
            "--robot.ros_domain_id=2",
            "--robot.backend_cameras=[head]",
            "--robot.camera_sizes={head: [360, 640]}",
            "--robot.command_torso=false",
        ],
    ).robot
    assert isinstance(config, GalaxeaR1LiteConfig)
    assert config.camera_sizes == {"head": [360, 640]}
    assert config.backend_cameras == ["head"]
