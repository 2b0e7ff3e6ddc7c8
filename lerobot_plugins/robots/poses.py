"""Where a robot is at rest."""

from lerobot_plugins.contracts.robot import RobotContract, Signal
from lerobot_plugins.robots.simulation.geometry import body


def rest_value(signal: Signal) -> float:
    """0 where the signal's limits allow it, otherwise the limit next to 0."""
    return _within(signal, 0.0)


def resting_pose(contract: RobotContract) -> dict[str, float]:
    """Action signal -> its value where the simulated robot wakes, so that a motion may begin there.

    Raises:
        ZooError: There is no simulated body for this robot.
    """
    shape = body(contract.robot_type)
    pose = {}
    for signal in contract.action:
        angle = shape.home.get(signal.joint or "", 0.0)
        if (driven := shape.grippers.get(signal.name.removesuffix(".pos"))) is not None:
            finger, stroke = driven
            angle = shape.home.get(finger, 0.0) / stroke
        pose[signal.name] = _within(signal, angle)
    return pose


def _within(signal: Signal, value: float) -> float:
    lower = float("-inf") if signal.lower is None else signal.lower
    upper = float("inf") if signal.upper is None else signal.upper
    return min(max(value, lower), upper)
