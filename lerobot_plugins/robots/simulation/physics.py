"""A simulated robot: its model, its motion, its signals. Knows no clock and draws nothing."""

from collections.abc import Mapping
from typing import Any

from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.robots.simulation.base import PlanarBase
from lerobot_plugins.robots.simulation.links import Body
from lerobot_plugins.robots.simulation.mjcf import mjcf
from lerobot_plugins.robots.simulation.signals import Motors, Sensors

_SETTLING_STEPS = 50


class Physics:
    """A robot that has woken in its resting pose.

    Args:
        mujoco: The package.
        contract: The robot.
        body: Its body.

    Raises:
        ZooError: Contract and body do not fit each other.
    """

    def __init__(self, mujoco: Any, contract: RobotContract, body: Body) -> None:
        self.model = mujoco.MjModel.from_xml_string(mjcf(contract, body))
        self.data = mujoco.MjData(self.model)
        self._step = mujoco.mj_step
        self._sensors = Sensors(contract, body, self.model)
        self._motors = Motors(contract, body, self.model)
        self._base = PlanarBase(body, self.model)
        self._pose(body)
        self._step(self.model, self.data, nstep=_SETTLING_STEPS)
        self.steps = 0

    def advance(self, steps: int) -> None:
        """Simulate so many steps of `TIMESTEP_S`."""
        if self._base.is_moving:
            for _ in range(steps):
                self._base.advance(self.data)
                self._step(self.model, self.data)
        elif steps:
            self._step(self.model, self.data, nstep=steps)
        self.steps += steps

    def measure(self) -> dict[str, float]:
        """Every signal of the contract's state, in its units."""
        return self._sensors.read(self.data)

    def command(self, targets: Mapping[str, float]) -> None:
        """Give all servos their targets and the base its velocities.

        Raises:
            ZooError: A target is unknown, missing or not finite; nothing changed.
        """
        self._base.command(self._motors.command(targets, self.data), self.data)

    def hold(self) -> None:
        """Stay in the present pose with the base at rest."""
        self._motors.hold(self.data)
        self._base.hold(self.data)

    def _pose(self, body: Body) -> None:
        """Take the resting pose, as far as the limits allow."""
        for joint, angle in body.home.items():
            lower, upper = self.model.joint(joint).range
            self.data.joint(joint).qpos[0] = min(max(angle, lower), upper)
        for link in body.links:
            if link.mimics is not None:
                leader, factor = link.mimics
                self.data.joint(link.joint).qpos[0] = factor * self.data.joint(leader).qpos[0]
        self.hold()
