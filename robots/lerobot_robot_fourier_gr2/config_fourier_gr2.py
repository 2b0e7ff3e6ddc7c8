"""The Fourier GR-2 as LeRobot configures it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lerobot.robots import RobotConfig

from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backends import SHARED_BACKENDS, BackendSource
from lerobot_plugins.robots.config import ZooRobotConfig
from lerobot_robot_fourier_gr2.aurora_modes import MODES, describe

# DDS has no further domains: their ports would lie beyond 65535.
_RANGES = {
    "domain_id": (0, 232),
    "min_stable_level": (0, 1_000_000),
    "mode_max_age_s": (0.05, 60),
    "connect_tries": (1, 1000),
    "connect_wait_s": (0, 600),
}


@RobotConfig.register_subclass("fourier_gr2")
@dataclass(kw_only=True)
class FourierGR2Config(ZooRobotConfig):
    """Options of the GR-2, beside those of every robot.

    Args:
        backend: `sim`, `replay`, or `aurora`: the real robot through Fourier's client.
        domain_id: DDS domain of the robot's Aurora server.
        robot_name: The name under which the server knows it.
        namespace: DDS namespace; none by default.
        ros_compatible: Whether the server publishes ROS-compatible topics.
        fsm_state: The whole-body state in which the robot must be, or to which it is brought where
            `allow_fsm_change` says so: 2 PdStand, 3 RL locomotion, 10 UserCmd and 11 UpperBodyUserCmd (both
            only while the robot hangs or is held: its legs go limp).
        allow_fsm_change: Let `connect` change the state. Otherwise it is only compared.
        min_stable_level: In state 2 the robot obeys while its stable level is above this; 10 in Fourier's
            simulation.
        mode_max_age_s: How old the last word of the robot's state may be, seconds.
        connect_tries: How often the server is looked for; a try without an answer takes three seconds.
        connect_wait_s: Seconds between two tries.
    """

    backends: ClassVar[Mapping[str, BackendSource]] = {
        **SHARED_BACKENDS,
        "aurora": BackendSource("lerobot_robot_fourier_gr2.aurora", "AuroraBackend", extra="gr2"),
    }

    domain_id: int = 123
    robot_name: str = "gr2"
    namespace: str | None = None
    ros_compatible: bool = False
    fsm_state: int = 11
    allow_fsm_change: bool = False
    min_stable_level: int = 100
    mode_max_age_s: float = 2.0
    connect_tries: int = 4
    connect_wait_s: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fsm_state not in MODES:
            raise ZooError(
                "robot.fsm_state is no state in which a GR-2 obeys programs",
                got=describe(self.fsm_state),
                expected=", ".join(map(describe, MODES)),
                do="correct --robot.fsm_state",
            )
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise ZooError(
                    f"robot.{name} is out of range",
                    got=getattr(self, name),
                    expected=f"{least} to {most}",
                    do=f"correct --robot.{name}",
                )
