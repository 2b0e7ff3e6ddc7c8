"""The backend `dds`: ROS 2 messages over Cyclone DDS, without ROS."""

from typing import Protocol

from lerobot_plugins.robots.backends import missing_module
from lerobot_robot_galaxea_r1.backend import GalaxeaBackend, Options
from lerobot_robot_galaxea_r1.config_galaxea_r1 import GalaxeaConfig
from lerobot_robot_galaxea_r1.link import Link
from lerobot_robot_galaxea_r1.topics import Topic


class DdsOptions(Options, Protocol):
    """And of this backend."""

    ros_domain_id: int
    network_interface: str | None
    reliable_commands: bool
    reliable_feedback: bool


class DdsBackend(GalaxeaBackend):
    """A robot in the same DDS domain. Cyclone DDS keeps looking for it: one that restarts is found again."""

    _config: DdsOptions

    def _open(self, heard: list[Topic], sent: list[Topic]) -> Link:
        try:
            from lerobot_robot_galaxea_r1.dds_link import DdsLink
        except ModuleNotFoundError as error:
            raise missing_module(error, GalaxeaConfig.backends["dds"]) from error
        return DdsLink(self._config, heard, sent, self._hear)
