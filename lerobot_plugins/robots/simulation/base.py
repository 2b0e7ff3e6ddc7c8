"""Where the base of a simulated robot is to be: commanded velocities integrated into targets of servos."""

import math
from collections.abc import Mapping
from typing import Any

from lerobot_plugins.robots.simulation.links import Body
from lerobot_plugins.robots.simulation.mjcf import (
    BASE_HEIGHT,
    BASE_PITCH,
    BASE_X,
    BASE_Y,
    BASE_YAW,
    TIMESTEP_S,
    base_joints,
)


class PlanarBase:
    """Moves a base by its servos, in its own frame.

    `base_base_yaw`, an angle, is added to the heading that turning has led to. Height and pitch stay within
    what the body says.

    Args:
        body: The robot's body.
        model: The compiled model.
    """

    def __init__(self, body: Body, model: Any) -> None:
        self._ctrl = {name: model.actuator(name).id for name in base_joints(body)}
        self._qpos = {name: model.joint(name).qposadr[0] for name in self._ctrl}
        self._spans = dict(zip((BASE_HEIGHT, BASE_PITCH), body.rises or (), strict=False))
        self._velocities: dict[str, float] = {}
        self._heading = self._yaw = 0.0

    @property
    def is_moving(self) -> bool:
        """Whether its targets change with time."""
        return any(self._velocities.values())

    def command(self, motions: Mapping[str, float], data: Any) -> None:
        """Take new velocities, m/s and rad/s by motion (`forward`, `turn` ...), and `heading` in rad."""
        self._velocities = {motion: value for motion, value in motions.items() if motion != "heading"}
        self._heading = motions.get("heading", self._heading)
        data.ctrl[self._ctrl[BASE_YAW]] = self._yaw + self._heading

    def hold(self, data: Any) -> None:
        """Stay where it is."""
        self._velocities = {}
        for name, place in self._ctrl.items():
            data.ctrl[place] = data.qpos[self._qpos[name]]
        self._yaw = data.qpos[self._qpos[BASE_YAW]] - self._heading

    def advance(self, data: Any) -> None:
        """Move the targets by one step of the simulation."""
        yaw = data.qpos[self._qpos[BASE_YAW]]
        cos, sin = math.cos(yaw), math.sin(yaw)
        forward = self._velocities.get("forward", 0.0)
        sideways = self._velocities.get("sideways", 0.0)
        data.ctrl[self._ctrl[BASE_X]] += (cos * forward - sin * sideways) * TIMESTEP_S
        data.ctrl[self._ctrl[BASE_Y]] += (sin * forward + cos * sideways) * TIMESTEP_S
        self._yaw += self._velocities.get("turn", 0.0) * TIMESTEP_S
        data.ctrl[self._ctrl[BASE_YAW]] = self._yaw + self._heading
        for name, motion in ((BASE_HEIGHT, "rise"), (BASE_PITCH, "pitch")):
            if name in self._spans:
                lower, upper = self._spans[name]
                target = data.ctrl[self._ctrl[name]] + self._velocities.get(motion, 0.0) * TIMESTEP_S
                data.ctrl[self._ctrl[name]] = min(max(target, lower), upper)
