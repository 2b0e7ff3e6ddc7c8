"""The Galaxea robots as LeRobot's robots: their contracts and options; all else is every robot's."""

from lerobot_plugins.robots.robot import ZooRobot
from lerobot_robot_galaxea_r1.config_galaxea_r1 import (
    GalaxeaR1Config,
    GalaxeaR1LiteConfig,
    GalaxeaR1ProConfig,
)


class GalaxeaR1(ZooRobot):
    """Two arms of six joints with grippers, a torso of four, a base on wheels."""

    config_class = GalaxeaR1Config
    name = "galaxea_r1"


class GalaxeaR1Lite(ZooRobot):
    """Two arms of six joints with grippers, a torso of three, a base on wheels."""

    config_class = GalaxeaR1LiteConfig
    name = "galaxea_r1_lite"


class GalaxeaR1Pro(ZooRobot):
    """Two arms of seven joints with grippers, a torso of four, a base on wheels."""

    config_class = GalaxeaR1ProConfig
    name = "galaxea_r1_pro"
