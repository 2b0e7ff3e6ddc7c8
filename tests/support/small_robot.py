"""The small robot of `kinematic_robot` as LeRobot's robot."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from kinematic_robot import SMALL, Clock, KinematicBackend
from lerobot.robots import RobotConfig

from lerobot_plugins.contracts import catalog
from lerobot_plugins.robots.config import ZooRobotConfig
from lerobot_plugins.robots.robot import ZooRobot


@RobotConfig.register_subclass("small")
@dataclass(kw_only=True)
class SmallConfig(ZooRobotConfig):
    """Options of the small robot."""


class Small(ZooRobot):
    """The small robot."""

    config_class = SmallConfig
    name = "small"


@contextmanager
def small_robot(folder: Path, **options: object) -> Iterator[tuple[Small, KinematicBackend, Clock]]:
    """The robot, not connected, with its backend and its time. Without slow start unless asked for."""
    clock = Clock()
    backend = KinematicBackend(SMALL, clock)
    config = SmallConfig(calibration_dir=folder, **{"ramp_s": 0.0, "watchdog_s": 0.0, **options})
    with patch.object(catalog, "contract", lambda robot_type: SMALL):
        robot = Small(config, backend=backend, clock=clock)
    yield robot, backend, clock
    robot.disconnect()
