"""The Fourier GR-2 as LeRobot's robot: its contract, its options; all else is every robot's."""

from lerobot_plugins.robots.robot import ZooRobot
from lerobot_robot_fourier_gr2.config_fourier_gr2 import FourierGR2Config


class FourierGR2(ZooRobot):
    """Two arms of seven joints, two hands of six, head, waist, and a base on two legs."""

    config_class = FourierGR2Config
    name = "fourier_gr2"
