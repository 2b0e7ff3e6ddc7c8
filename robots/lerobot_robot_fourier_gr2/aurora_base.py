"""The pose of the standing trunk, commanded by rates of height and pitch and an angle of yaw.

Aurora takes an absolute pose; the recordings hold rates. Their units, and the sign of yaw, follow from their
names and Aurora's documentation; nobody measured them. Limits below are this project's, and narrow: Aurora
publishes none, and its examples go down by at most 0.2 m.
"""

from typing import NamedTuple


class Pose(NamedTuple):
    """Difference to the usual pose: height in m (upwards), pitch (forwards) and yaw (to the left) in rad."""

    height: float
    pitch: float
    yaw: float


LOWEST = Pose(height=-0.2, pitch=-0.2, yaw=-0.5)
HIGHEST = Pose(height=0.0, pitch=0.2, yaw=0.5)
#: How far a target may be ahead of the measured pose.
LEAD = Pose(height=0.03, pitch=0.06, yaw=0.1)
YAW_RATE = 0.5  # rad/s


class StandPose:
    """Follows rates and an angle, never far ahead of the robot."""

    def __init__(self) -> None:
        self._last: Pose | None = None

    def rest(self) -> None:
        """Begin anew at the measured pose."""
        self._last = None

    def step(self, measured: Pose, height_rate: float, pitch_rate: float, yaw: float, step_s: float) -> Pose:
        """The pose to command now.

        Args:
            measured: Where the trunk is.
            height_rate: m/s.
            pitch_rate: rad/s.
            yaw: rad; approached with at most `YAW_RATE`.
            step_s: Seconds since the last command.
        """
        last = self._last or measured
        most = YAW_RATE * step_s
        wanted = Pose(
            last.height + height_rate * step_s,
            last.pitch + pitch_rate * step_s,
            last.yaw + min(max(yaw - last.yaw, -most), most),
        )
        self._last = Pose(
            *(
                # Last, so that a robot outside of the limits is not made to jump into them.
                min(max(min(max(want, low), high), present - lead), present + lead)
                for want, low, high, present, lead in zip(
                    wanted, LOWEST, HIGHEST, measured, LEAD, strict=True
                )
            )
        )
        return self._last
