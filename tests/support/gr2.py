"""A GR-2 over Fourier's client without DDS, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_aurora_client import FakeAuroraClient
from kinematic_robot import Clock

from lerobot_plugins.contracts.fourier_gr2 import FOURIER_GR2
from lerobot_plugins.contracts.fourier_gr2_joints import JOINTS
from lerobot_robot_fourier_gr2.aurora import AuroraBackend
from lerobot_robot_fourier_gr2.config_fourier_gr2 import FourierGR2Config
from lerobot_robot_fourier_gr2.fourier_gr2 import FourierGR2


@dataclass
class Setup:
    """The parts of one GR-2: its backend, the client underneath, the time, and LeRobot's robot on top."""

    backend: AuroraBackend
    client: FakeAuroraClient
    clock: Clock
    robot: FourierGR2

    def send(self, action: dict[str, float], seconds: float = 0.0, step_s: float = 0.05) -> dict[str, float]:
        """An action, repeated for a time through all of the robot's checks while Aurora speaks."""
        sent: dict[str, float] = {}
        for _ in range(max(round(seconds / step_s), 1)):
            self.client.sleep(step_s)
            sent = self.robot.send_action(action)
        return sent


@contextmanager
def gr2(folder: Path, *, client: dict | None = None, **options: object) -> Iterator[Setup]:
    """A GR-2 over a fake client, not connected; without slow start, watchdog or pictures unless asked for.

    Args:
        folder: For its calibration.
        client: Arguments of the fake client.
        options: Options of the robot.
    """
    clock = Clock()
    fake = FakeAuroraClient(clock, **(client or {}))
    config = FourierGR2Config(
        calibration_dir=folder,
        **{"backend": "aurora", "ramp_s": 0.0, "watchdog_s": 0.0, **options},  # type: ignore[arg-type]
    )
    backend = AuroraBackend(FOURIER_GR2, config, open_client=lambda _: fake, clock=clock, sleep=fake.sleep)
    robot = FourierGR2(config, backend=backend, clock=clock)
    yield Setup(backend, fake, clock, robot)
    robot.disconnect()


@contextmanager
def connected_backend(folder: Path, **options: Any) -> Iterator[Setup]:
    """The same with a connected backend; the robot's state is not compared."""
    with gr2(folder, **options) as setup:
        setup.backend.connect()
        yield setup


@contextmanager
def connected_gr2(folder: Path, **options: Any) -> Iterator[Setup]:
    """The same, connected as LeRobot's commands do it."""
    with gr2(folder, **options) as setup:
        setup.robot.connect()
        yield setup


def resting_targets(**changes: float) -> dict[str, float]:
    """Targets of all signals: each joint at 0 or its nearest limit, the base still."""
    targets = {
        signal.name: 0.0
        if signal.joint is None
        else min(max(0.0, JOINTS[signal.joint].lower), JOINTS[signal.joint].upper)
        for signal in FOURIER_GR2.action
        if signal.exists
    }
    return targets | changes
