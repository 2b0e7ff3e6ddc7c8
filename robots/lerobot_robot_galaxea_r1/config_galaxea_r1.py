"""Galaxea R1, R1 Lite and R1 Pro as LeRobot configures them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lerobot.robots import RobotConfig

from lerobot_plugins.contracts.galaxea_r1 import BASE_ACCELERATION
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backends import SHARED_BACKENDS, BackendSource
from lerobot_plugins.robots.config import ZooRobotConfig

# Beyond it DDS's ports run out.
_HIGHEST_DOMAIN = 232


@dataclass(kw_only=True)
class GalaxeaConfig(ZooRobotConfig):
    """Options of the Galaxea robots, beside those of every robot.

    Args:
        backend: `sim`, `replay`, `dds` (ROS 2 messages over Cyclone DDS, no ROS needed) or `rosbridge`.
        ros_domain_id: `ROS_DOMAIN_ID` of the robot.
        network_interface: The network card that reaches the robot, for `dds`; by default what Cyclone DDS or
            `CYCLONEDDS_URI` chooses.
        reliable_commands: Publish with reliable quality of service.
        reliable_feedback: Subscribe reliably; the vendor's own bridge does not.
        rosbridge_host: Where rosbridge_server runs.
        rosbridge_port: Its port.
        connect_timeout_s: How long finding the robot and its first complete measurement may take.
        check_joint_names: Refuse feedback that names its joints in another order than the one they are read
            in.
        camera_sizes: Height and width of the pictures of `backend_cameras`, `{head: [360, 640]}`, where they
            are not the contract's.
        command_torso: Send targets to the torso; off where nothing on the robot controls it.
        use_chassis: Measure the chassis. Off, its velocities are 0: for a robot whose chassis program is not
            started.
        chassis_acc_limit: Accelerations x, y (m/s^2) and yaw (rad/s^2) that are published before the first
            command of the base; at the robot's own default of 0 the wheels do not move.
        release_brake: Publish that the chassis is not to brake, with the commands of the base.
    """

    backends: ClassVar[Mapping[str, BackendSource]] = {
        **SHARED_BACKENDS,
        "dds": BackendSource("lerobot_robot_galaxea_r1.dds", "DdsBackend", extra="r1"),
        "rosbridge": BackendSource("lerobot_robot_galaxea_r1.rosbridge", "RosbridgeBackend", extra="r1"),
    }

    ros_domain_id: int = 0
    network_interface: str | None = None
    reliable_commands: bool = True
    reliable_feedback: bool = False
    rosbridge_host: str = "127.0.0.1"
    rosbridge_port: int = 9090
    connect_timeout_s: float = 10.0
    check_joint_names: bool = True
    camera_sizes: dict[str, list[int]] = field(default_factory=dict)
    command_torso: bool = True
    use_chassis: bool = True
    chassis_acc_limit: list[float] = field(default_factory=lambda: [1.0, 1.0, 1.0])
    release_brake: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = self.chassis_acc_limit
        for name, right, expected in (
            ("ros_domain_id", 0 <= self.ros_domain_id <= _HIGHEST_DOMAIN, f"0 to {_HIGHEST_DOMAIN}"),
            ("rosbridge_port", 0 < self.rosbridge_port < 2**16, "a port"),
            ("connect_timeout_s", self.connect_timeout_s > 0, "seconds above 0"),
            (
                "chassis_acc_limit",
                len(limits) == 3
                and all(0 < limit <= most for limit, most in zip(limits, BASE_ACCELERATION, strict=True)),
                f"three numbers above 0, at most {list(BASE_ACCELERATION)}",
            ),
            (
                "camera_sizes",
                all(len(size) == 2 and min(size) > 0 for size in self.camera_sizes.values()),
                "[height, width] of each camera",
            ),
            ("use_chassis", self.use_chassis or not self.enable_base, "true, if the base is enabled"),
        ):
            if not right:
                raise ZooError(
                    f"robot.{name} is wrong",
                    got=getattr(self, name),
                    expected=expected,
                    do=f"correct --robot.{name}",
                )


@RobotConfig.register_subclass("galaxea_r1")
@dataclass(kw_only=True)
class GalaxeaR1Config(GalaxeaConfig):
    """Options of the R1."""


@RobotConfig.register_subclass("galaxea_r1_lite")
@dataclass(kw_only=True)
class GalaxeaR1LiteConfig(GalaxeaConfig):
    """Options of the R1 Lite."""


@RobotConfig.register_subclass("galaxea_r1_pro")
@dataclass(kw_only=True)
class GalaxeaR1ProConfig(GalaxeaConfig):
    """Options of the R1 Pro, whose DDS domain is 41 as delivered."""

    ros_domain_id: int = 41
