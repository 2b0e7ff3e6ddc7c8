"""Fourier's client without DDS, for tests: the methods and caches of `AuroraClient` 0.1.8 that are used."""

import math
from typing import Any

from kinematic_robot import Clock

WIDTHS = {
    "left_manipulator": 7,
    "right_manipulator": 7,
    "left_hand": 6,
    "right_hand": 6,
    "head": 2,
    "waist": 1,
    "left_leg": 6,
    "right_leg": 6,
}
OPEN_HAND = [0.2, 0.2, 0.2, 0.2, 1.2, 0.0]


class FakeAuroraClient:
    """A client that hears what it is told to, and notes what is sent.

    Args:
        clock: Time; `sleep` lets it pass, and Aurora is heard meanwhile unless `frozen`.
        state: The whole body's.
        source: Of velocities.
        stable_level: How sure Aurora is that the robot stands.
    """

    def __init__(self, clock: Clock, state: int = 11, source: int = 0, stable_level: int = 200) -> None:
        self.clock = clock
        self.state, self.source, self.stable_level = state, source, stable_level
        self.obeys_state = True
        self.frozen: set[str] = set()
        self.groups = {
            group: list(OPEN_HAND) if group.endswith("hand") else [0.1] * width
            for group, width in WIDTHS.items()
        }
        self.base = {
            "pos_W": [1.0, 2.0, 0.9],
            "quat_xyzw": [0.0, 0.0, 0.0, 1.0],
            "rpy": [0.01, 0.02, 0.03],
            "acc_B": [0.0, 0.0, 9.81],
            "omega_B": [0.1, 0.2, 0.3],
        }
        self.stand = [0.0, 0.0, 0.0]
        self.sent: list[tuple[str, Any]] = []
        self.closed = False
        self._aurora_state: dict[str, Any] = {}
        self._robot_control_group_state: dict[str, dict[str, list[float]]] = {}
        self._base_data: dict[str, list[float]] = {}
        self._stand_pose_state = [0.0] * 4

    def hear(self) -> None:
        """One message of each topic arrives, but for those in `frozen`: groups, base, mode, stand."""
        if "groups" not in self.frozen:
            for group, values in self.groups.items():
                self._robot_control_group_state[group] = {"position": list(values)}
        if "base" not in self.frozen:
            for part, values in self.base.items():
                self._base_data[part] = list(values)
        if "mode" not in self.frozen:
            self._aurora_state["whole_body_fsm_state"] = self.state
            self._aurora_state["velocity_command_source"] = self.source
        if "stand" not in self.frozen:
            for index, value in enumerate([*self.stand, self.stable_level]):
                self._stand_pose_state[index] = value

    def sleep(self, seconds: float) -> None:
        """Time passes, and Aurora speaks."""
        self.clock.wait(seconds)
        self.hear()

    def of(self, kind: str) -> list[Any]:
        """What was sent of one kind: groups, velocity, stand, state, source."""
        return [value for known, value in self.sent if known == kind]

    def get_group_state(self, group: str, key: str) -> list[float]:
        return self._robot_control_group_state[group][key]

    def get_base_data(self, key: str) -> list[float]:
        return self._base_data[key]

    def get_fsm_state(self) -> int:
        return self._aurora_state["whole_body_fsm_state"]

    def get_velocity_source(self) -> int:
        return self._aurora_state["velocity_command_source"]

    def get_stand_pose(self) -> list[float]:
        return self._stand_pose_state

    def set_group_cmd(self, position_cmd: dict[str, list[float]]) -> None:
        for value in (value for values in position_cmd.values() for value in values):
            if type(value) is not float:  # as SWIG does with NumPy's
                raise TypeError(type(value))
            assert math.isfinite(value), "an unsafe command was sent"
        self.sent.append(("groups", position_cmd))

    def set_velocity(self, vx: float, vy: float, yaw: float, duration: float) -> None:
        assert all(map(math.isfinite, (vx, vy, yaw, duration))), "an unsafe command was sent"
        self.sent.append(("velocity", (vx, vy, yaw, duration)))

    def set_stand_pose(self, delta_z: float, delta_pitch: float, delta_yaw: float) -> None:
        assert all(map(math.isfinite, (delta_z, delta_pitch, delta_yaw))), "an unsafe command was sent"
        self.sent.append(("stand", (delta_z, delta_pitch, delta_yaw)))

    def set_fsm_state(self, state: int) -> None:
        self.sent.append(("state", state))
        if self.obeys_state:
            self.state = state

    def set_velocity_source(self, source: int) -> None:
        self.sent.append(("source", source))
        self.source = source

    def close(self) -> None:
        self.closed = True
