"""A fake robot behind each transport, for tests that all transports must pass."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_r1 import HEIGHT, WIDTH, FakeR1

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Backend
from lerobot_plugins.robots.backends import make_backend
from lerobot_robot_galaxea_r1 import config_galaxea_r1

CONFIGS = {
    "galaxea_r1": config_galaxea_r1.GalaxeaR1Config,
    "galaxea_r1_lite": config_galaxea_r1.GalaxeaR1LiteConfig,
    "galaxea_r1_pro": config_galaxea_r1.GalaxeaR1ProConfig,
}
SIZES = {camera: [HEIGHT, WIDTH] for camera in ("head", "left_wrist")}


@dataclass
class Peer:
    """A fake robot that runs, and how to reach it.

    Args:
        transport: `dds` or `rosbridge`.
        fake: The server; has `start` and `kill`.
        body: What it measures and obeys.
        robot_type: Which robot it is.
        address: Options that lead to it.
        made: Backends that were made for it.
    """

    transport: str
    fake: Any
    body: FakeR1
    robot_type: str
    address: dict[str, Any]
    made: list[Backend] = field(default_factory=list)

    def config(self, **options: Any) -> config_galaxea_r1.GalaxeaConfig:
        """Options of a robot that reaches it. Patient, for a machine under load."""
        return CONFIGS[self.robot_type](
            calibration_dir=Path("/nonexistent"),
            backend=self.transport,
            **{"max_age_s": 2.0, "camera_sizes": SIZES, **self.address, **options},
        )

    def backend(self, **options: Any) -> Any:
        """A connected backend."""
        backend = make_backend(self.config(**options), catalog.contract(self.robot_type))
        self.made.append(backend)
        backend.connect()
        return backend


@contextmanager
def peer(transport: str, robot_type: str = "galaxea_r1_lite", **options: Any) -> Iterator[Peer]:
    """The robot until the end of the block; `options` are the server's."""
    body = FakeR1(robot_type)
    if transport == "dds":
        from fake_r1_dds import FakeR1Dds, own_domain

        number = random.randint(1, 99)
        domain = own_domain(number)
        fake: Any = FakeR1Dds(number, body, **options)
        address: dict[str, Any] = {"ros_domain_id": number}
    else:
        from fake_rosbridge import FakeRosbridge

        domain = None
        fake = FakeRosbridge(body, **options)
        address = {"rosbridge_port": fake.port}
    reached = Peer(transport, fake, body, robot_type, address)
    try:
        yield reached
    finally:
        for backend in reached.made:
            backend.disconnect()
        fake.kill()
        del domain


def eventually(happens: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until it does."""
    until_s = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.01)


def error_of(do: Callable[[], Any]) -> str:
    """What it raises, nothing if it works."""
    try:
        do()
    except ZooError as error:
        return str(error)
    return ""


def works(do: Callable[[], Any]) -> bool:
    """Whether it raises nothing."""
    return not error_of(do)


def still(backend: Any) -> dict[str, float]:
    """Targets that change nothing."""
    signals, contract = backend.read().signals, backend._contract
    return {signal.name: 0.0 if signal.is_velocity else signals[signal.name] for signal in contract.action}
