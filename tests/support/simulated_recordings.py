"""Stock `lerobot-record` on a simulated robot, called in this process and in a time of its own.

The command's clock, its waiting, the robot, the teleoperator and the simulation share one clock that only the
command's own waiting moves: a recording is the same on any machine, however busy.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from kinematic_robot import Clock
from lerobot.robots import RobotConfig, make_robot_from_config
from lerobot.scripts import lerobot_record
from lerobot.teleoperators import make_teleoperator_from_config

from lerobot_plugins.contracts import catalog
from lerobot_plugins.robots.simulation.backend import SimulationBackend

FPS = 10


def record(root: Path, *options: str) -> Path:
    """Two episodes of two seconds of a waving GR-2, pictures of 48 x 64 pixels stored as images.

    Args:
        root: The dataset's folder, which must not exist.
        options: More options of `lerobot-record`; a later one wins.
    """
    arguments = [
        "--robot.type=fourier_gr2",
        "--robot.backend=sim",
        "--robot.sim_height=48",
        "--robot.sim_width=64",
        "--robot.watchdog_s=0",
        "--robot.ramp_s=0",
        f"--robot.calibration_dir={root.parent / 'calibration'}",
        "--teleop.type=scripted_motion",
        "--teleop.robot=fourier_gr2",
        "--teleop.period_s=2",
        "--dataset.repo_id=local/gr2",
        "--dataset.no_stamp=true",
        f"--dataset.root={root}",
        "--dataset.single_task=Wave with both arms",
        f"--dataset.fps={FPS}",
        "--dataset.num_episodes=2",
        "--dataset.episode_time_s=2",
        "--dataset.reset_time_s=0",
        "--dataset.video=false",
        "--dataset.push_to_hub=false",
        "--play_sounds=false",
        *options,
    ]
    last = {option.split("=")[0]: option for option in arguments}
    clock = Clock()

    def robot(config: RobotConfig) -> Any:
        backend = SimulationBackend(catalog.contract(config.type), config, clock)
        return type(make_robot_from_config(config))(config, backend=backend, clock=clock)

    def teleoperator(config: Any) -> Any:
        return type(make_teleoperator_from_config(config))(config, clock=clock)

    with (
        mock.patch.object(sys, "argv", ["lerobot-record", *last.values()]),
        mock.patch.object(lerobot_record, "init_logging"),  # it would replace pytest's handlers
        mock.patch.object(lerobot_record, "time", SimpleNamespace(perf_counter=clock)),
        mock.patch.object(lerobot_record, "precise_sleep", clock.wait),
        mock.patch.object(lerobot_record, "make_robot_from_config", robot),
        mock.patch.object(lerobot_record, "make_teleoperator_from_config", teleoperator),
    ):
        lerobot_record.record()
    return root
