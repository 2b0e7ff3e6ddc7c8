"""Simulated robots for tests: in a time that the test lets pass, with pictures of few pixels.

Importing this skips a test module where MuJoCo is not installed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kinematic_robot import Clock

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.robots.config import ZooRobotConfig
from lerobot_plugins.robots.simulation.backend import SimulationBackend
from lerobot_plugins.robots.simulation.geometry import body
from lerobot_plugins.robots.simulation.physics import Physics

mujoco = pytest.importorskip("mujoco", reason="the extra `sim` is not installed")

ROBOTS = ("fourier_gr2", "galaxea_r1", "galaxea_r1_lite", "galaxea_r1_pro")


def physics(robot_type: str) -> Physics:
    """A robot in its resting pose, without a clock."""
    return Physics(mujoco, catalog.contract(robot_type), body(robot_type))


@contextmanager
def simulated(robot_type: str, **options: object) -> Iterator[tuple[SimulationBackend, Clock]]:
    """A connected backend and its time; pictures have 48 x 64 pixels unless `options` say otherwise."""
    clock = Clock()
    config = ZooRobotConfig(**{"sim_height": 48, "sim_width": 64, **options})
    backend = SimulationBackend(catalog.contract(robot_type), config, clock)
    backend.connect()
    try:
        yield backend, clock
    finally:
        backend.disconnect()


def resting_targets(contract: RobotContract, measured: dict[str, float]) -> dict[str, float]:
    """Commands that change nothing: joints where they are, the base at rest."""
    return {
        signal.name: 0.0 if signal.group == "base" else measured[signal.name]
        for signal in contract.action
        if signal.exists
    }
