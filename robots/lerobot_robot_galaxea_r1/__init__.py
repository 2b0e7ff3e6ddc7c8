"""Galaxea R1, R1 Lite and R1 Pro for LeRobot: `--robot.type=galaxea_r1`, `_lite`, `_pro`.

Importing this package registers the robots' options; LeRobot imports a robot when one is made.
"""

from lerobot_robot_galaxea_r1.config_galaxea_r1 import (
    GalaxeaR1Config,
    GalaxeaR1LiteConfig,
    GalaxeaR1ProConfig,
)

__all__ = ["GalaxeaR1Config", "GalaxeaR1LiteConfig", "GalaxeaR1ProConfig"]
