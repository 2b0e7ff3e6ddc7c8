"""Between the signals of a contract and the numbers of its MuJoCo model."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lerobot_plugins.contracts.robot import RobotContract, Signal
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.robots.simulation.links import TRUNK, Body
from lerobot_plugins.robots.simulation.mjcf import BASE_X, BASE_Y, BASE_YAW, commanded_joints, joint_of

#: Names of base commands, as the robots' data sets have them -> which of the base's motions.
BASE_COMMANDS = {
    "base_x.vel": "forward",
    "base_y.vel": "sideways",
    "base_yaw.vel": "turn",
    "base_vel_x.vel": "forward",
    "base_vel_y.vel": "sideways",
    "base_vel_yaw.vel": "turn",
    "base_vel_height.vel": "rise",
    "base_vel_pitch.vel": "pitch",
    "base_base_yaw.pos": "heading",
}
# Vectors that are measured, and their parts in order, as the names of signals have them.
_VECTORS: dict[tuple[str, str], Sequence[str]] = {
    ("base_pos", "pos"): "xyz",
    ("base_quat", "pos"): "xyzw",
    ("base_rpy", "pos"): ("roll", "pitch", "yaw"),
    ("base", "vel"): ("x", "y", "yaw"),
    ("imu_acc", "vel"): "xyz",
    ("imu_omega", "vel"): "xyz",
}


class Sensors:
    """Reads all signals of a contract's state from a model.

    Args:
        contract: The robot.
        body: Its body.
        model: The compiled model.

    Raises:
        ZooError: A signal that the simulation cannot measure.
    """

    def __init__(self, contract: RobotContract, body: Body, model: Any) -> None:
        self._trunk = model.body(TRUNK).id
        planar = (BASE_X, BASE_Y, BASE_YAW)
        self._planar_q = [model.joint(name).qposadr[0] for name in planar]
        self._planar_v = [model.joint(name).dofadr[0] for name in planar]
        self._measures = [
            (signal.name, self._way(signal, contract, body, model)) for signal in contract.state
        ]

    def read(self, data: Any) -> dict[str, float]:
        """Every signal's value, in the contract's units."""
        vectors = self._vectors(data)
        return {name: float(measure(data, vectors)) for name, measure in self._measures}

    def _vectors(self, data: Any) -> dict[str, np.ndarray]:
        """Pose of the trunk and what the inertial unit feels; the planar base's velocity in its own frame."""
        w, x, y, z = data.xquat[self._trunk]
        yaw = data.qpos[self._planar_q[2]]
        v_x, v_y, turn = data.qvel[self._planar_v]
        cos, sin = math.cos(yaw), math.sin(yaw)
        return {
            "base_pos": data.xpos[self._trunk],
            "base_quat": np.array([x, y, z, w]),
            "base_rpy": roll_pitch_yaw(w, x, y, z),
            "imu_acc": data.sensor("acc").data,
            "imu_omega": data.sensor("omega").data,
            "base": np.array([cos * v_x + sin * v_y, cos * v_y - sin * v_x, turn]),
        }

    def _way(self, signal: Signal, contract: RobotContract, body: Body, model: Any) -> Callable[..., float]:
        """How one signal is measured."""
        stem, _, kind = signal.name.rpartition(".")
        vector, _, part = stem.rpartition("_")
        parts = _VECTORS.get((vector, kind), ())
        if part in parts:
            index = list(parts).index(part)
            return lambda _, vectors: vectors[vector][index]
        joint, scale = joint_of(signal, body) if kind == "pos" else (stem, 1.0)
        if joint in {model.joint(i).name for i in range(model.njnt)}:
            if kind == "pos":
                place = model.joint(joint).qposadr[0]
                return lambda data, _: data.qpos[place] / scale
            place = model.joint(joint).dofadr[0]
            return lambda data, _: data.qvel[place]
        raise ZooError(f"the simulated {contract.robot_type} cannot measure this signal", got=signal.name)


class Motors:
    """Where each command goes in a model.

    Args:
        contract: The robot.
        body: Its body.
        model: The compiled model.

    Raises:
        ZooError: A commanded signal that the simulation cannot obey.
    """

    def __init__(self, contract: RobotContract, body: Body, model: Any) -> None:
        servos = {name: model.actuator(name).id for name in commanded_joints(contract, body)}
        self._servos = [(place, model.joint(name).qposadr[0]) for name, place in servos.items()]
        self._joint_signals: dict[str, tuple[int, float]] = {}
        self._base_signals: dict[str, str] = {}
        for signal in contract.action:
            joint, scale = joint_of(signal, body)
            if not signal.exists:
                continue
            if joint is not None:
                self._joint_signals[signal.name] = (servos[joint], scale)
            elif signal.name in BASE_COMMANDS:
                self._base_signals[signal.name] = BASE_COMMANDS[signal.name]
            else:
                raise ZooError(
                    f"the simulated {contract.robot_type} cannot obey this signal", got=signal.name
                )

    def command(self, targets: Mapping[str, float], data: Any) -> dict[str, float]:
        """Give the joints' servos their targets.

        Args:
            targets: Value of every existing action signal, in the contract's units.
            data: The model's data.

        Returns:
            What is asked of the base, by motion.

        Raises:
            ZooError: A target is unknown, missing or not finite. Nothing was commanded.
        """
        wanted = self._joint_signals.keys() | self._base_signals.keys()
        for name, value in targets.items():
            if name not in wanted:
                raise ZooError("the simulation has no such command", got=name)
            if not math.isfinite(value):
                raise ZooError(f"the target of {name} is not finite", got=value)
        missing = sorted(wanted - targets.keys())
        if missing:
            raise ZooError("a command lacks signals", got=f"no {first_names(missing)}")
        for name, (place, scale) in self._joint_signals.items():
            data.ctrl[place] = targets[name] * scale
        return {motion: targets[name] for name, motion in self._base_signals.items()}

    def hold(self, data: Any) -> None:
        """Let every servo hold what its joint measures."""
        for place, joint in self._servos:
            data.ctrl[place] = data.qpos[joint]


def roll_pitch_yaw(w: float, x: float, y: float, z: float) -> np.ndarray:
    """Angles of a unit quaternion in rad: turned by yaw around z, then pitch around y, then roll around x."""
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.array([roll, pitch, yaw])
