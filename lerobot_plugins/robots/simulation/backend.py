"""A simulated robot as a backend: `--robot.backend=sim`."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Picture, Reading
from lerobot_plugins.robots.backends import SHARED_BACKENDS, missing_module
from lerobot_plugins.robots.simulation.cameras import SimulatedCameras
from lerobot_plugins.robots.simulation.geometry import body
from lerobot_plugins.robots.simulation.mjcf import TIMESTEP_S
from lerobot_plugins.robots.simulation.physics import Physics
from lerobot_plugins.robots.simulation.scene import OUTSIDE

if TYPE_CHECKING:
    from lerobot_plugins.robots.config import ZooRobotConfig

logger = logging.getLogger(__name__)

#: The simulation makes up for at most this much time at once; longer pauses of its user do not happen to it.
LONGEST_CATCH_UP_S = 10.0


class SimulationBackend:
    """A robot of capsules in MuJoCo.

    Simulated time is the clock's: each `read`, `write` and `hold` first makes up for the time since the one
    before, in steps of 2 ms. With the usual clock the robot lives in real time; with a clock that a test
    advances it is deterministic and as fast as the machine. Pictures show the moment of the last reading, so
    that an observation is of one moment however long drawing takes.

    Args:
        contract: The robot.
        config: Of this are read `limits`, `sim_height`, `sim_width`, `use_depth`.
        clock: Seconds that never go back.

    Raises:
        ZooError: There is no simulated body for this robot.
    """

    def __init__(
        self,
        contract: RobotContract,
        config: "ZooRobotConfig",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._contract = _with_limits(contract, config.limits)
        self._body = body(contract.robot_type)
        self._cameras = {
            camera.name: replace(
                camera,
                height=config.sim_height or camera.height,
                width=config.sim_width or camera.width,
                depth=camera.depth and config.use_depth,
            )
            for camera in contract.cameras
        }
        self._clock = clock
        self._physics: Physics | None = None

    @property
    def is_connected(self) -> bool:
        return self._physics is not None

    @property
    def physics(self) -> Physics:
        """The model and its state, for looking.

        Raises:
            ZooError: Not connected.
        """
        if self._physics is None:
            raise ZooError(
                f"the simulated {self._contract.robot_type} is not connected",
                expected="connect() first",
                do="call connect()",
            )
        return self._physics

    def connect(self) -> None:
        """Make the model and let the robot wake in its resting pose.

        Raises:
            ZooError: MuJoCo is not installed, or cannot be loaded.
        """
        if self.is_connected:
            return
        try:
            import mujoco
        except ModuleNotFoundError as error:
            raise missing_module(error, SHARED_BACKENDS["sim"]) from error
        # MuJoCo loads at once what MUJOCO_GL names, which fails in PyOpenGL's or ctypes' own ways.
        except Exception as error:
            raise ZooError(
                "MuJoCo cannot be loaded",
                got=f"{type(error).__name__}: {error}",
                expected=f"a library behind MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}",
                do="unset MUJOCO_GL, or install what it names: libosmesa6 for osmesa, libegl1 for egl",
            ) from error
        physics = Physics(mujoco, self._contract, self._body)
        sizes = {name: (camera.height, camera.width) for name, camera in self._cameras.items()}
        self._drawing = SimulatedCameras(mujoco, physics.model, sizes)
        self._lived_s = self._read_s = self._clock()
        self._physics = physics

    def disconnect(self) -> None:
        """Forget the model; may be called twice."""
        if self.is_connected:
            self._drawing.close()
            self._physics = None

    def read(self) -> Reading:
        """Make up for the time that has passed, and measure.

        Raises:
            ZooError: Not connected.
        """
        self._live()
        return Reading(self.physics.measure(), self.physics.steps, self._read_s)

    def picture(self, camera: str) -> Picture:
        """What a camera saw when the robot was last read or commanded; `outside` shows it from the side.

        Raises:
            ZooError: Not connected, no such camera, or no way to draw on this machine.
        """
        data = self.physics.data
        if camera != OUTSIDE and camera not in self._cameras:
            raise ZooError(
                f"the simulated {self._contract.robot_type} has no such camera",
                got=camera,
                expected=" or ".join([*self._cameras, OUTSIDE]),
            )
        return self._drawing.look(data, camera, camera in self._cameras and self._cameras[camera].depth)

    def write(self, targets: dict[str, float]) -> None:
        """Give all servos their targets and the base its velocities.

        Raises:
            ZooError: Not connected; a target is unknown, missing or not finite, and nothing changed.
        """
        self._live()
        self.physics.command(targets)

    def hold(self) -> None:
        """Stay in the measured pose with the base at rest.

        Raises:
            ZooError: Not connected.
        """
        self._live()
        self.physics.hold()

    def _live(self) -> None:
        """Simulate what has passed since the last call."""
        physics, now_s = self.physics, self._clock()
        skipped_s = now_s - self._lived_s - LONGEST_CATCH_UP_S
        if skipped_s > 0:
            logger.warning("The simulation stood still for %.1f s", skipped_s)
            self._lived_s += skipped_s
        # A hair more, or a clock's rounding would now and then cost a step.
        steps = int((now_s - self._lived_s) / TIMESTEP_S + 1e-6)
        if steps:
            physics.advance(steps)
            self._lived_s += steps * TIMESTEP_S
            self._read_s = now_s


def _with_limits(contract: RobotContract, limits: dict[str, list[float]]) -> RobotContract:
    """The contract with a user's own limits: the joints of the model have those."""
    action = tuple(
        replace(signal, lower=limits[signal.name][0], upper=limits[signal.name][1])
        if signal.name in limits
        else signal
        for signal in contract.action
    )
    return replace(contract, action=action)
