"""The backend `rosbridge`: ROS 2 messages through rosbridge_server, where DDS does not reach."""

from typing import Protocol

from lerobot_plugins.robots.backends import missing_module
from lerobot_robot_galaxea_r1.backend import GalaxeaBackend, Options
from lerobot_robot_galaxea_r1.config_galaxea_r1 import GalaxeaConfig
from lerobot_robot_galaxea_r1.link import Link
from lerobot_robot_galaxea_r1.topics import Topic


class RosbridgeOptions(Options, Protocol):
    """And of this backend."""

    rosbridge_host: str
    rosbridge_port: int


class RosbridgeBackend(GalaxeaBackend):
    """A robot behind a websocket. A connection that breaks is made anew by itself, and reads and writes raise
    until it is; nothing that could not be sent is kept for later.
    """

    _config: RosbridgeOptions

    def _open(self, heard: list[Topic], sent: list[Topic]) -> Link:
        try:
            from lerobot_robot_galaxea_r1.rosbridge_link import RosbridgeLink
        except ModuleNotFoundError as error:
            raise missing_module(error, GalaxeaConfig.backends["rosbridge"]) from error
        return RosbridgeLink(self._config, heard, sent, self._hear, self._forget)
