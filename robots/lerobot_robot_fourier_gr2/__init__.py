"""Fourier GR-2 for LeRobot: `--robot.type=fourier_gr2`.

Importing this package registers the robot's options; LeRobot imports the robot when one is made.
"""

from lerobot_robot_fourier_gr2.config_fourier_gr2 import FourierGR2Config

__all__ = ["FourierGR2Config"]
