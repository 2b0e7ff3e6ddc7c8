"""Which body belongs to which robot."""

from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.simulation.gr2_body import GR2_BODY
from lerobot_plugins.robots.simulation.links import Body
from lerobot_plugins.robots.simulation.r1_body import R1_BODY
from lerobot_plugins.robots.simulation.r1_lite_body import R1_LITE_BODY
from lerobot_plugins.robots.simulation.r1_pro_body import R1_PRO_BODY

_BODIES = {
    "fourier_gr2": GR2_BODY,
    "galaxea_r1": R1_BODY,
    "galaxea_r1_lite": R1_LITE_BODY,
    "galaxea_r1_pro": R1_PRO_BODY,
}


def body(robot_type: str) -> Body:
    """The body of a robot.

    Raises:
        ZooError: There is none for it.
    """
    if robot_type not in _BODIES:
        raise ZooError(
            "this robot has no simulated body",
            got=robot_type,
            expected=" or ".join(_BODIES),
            do="choose another backend with --robot.backend",
        )
    return _BODIES[robot_type]
