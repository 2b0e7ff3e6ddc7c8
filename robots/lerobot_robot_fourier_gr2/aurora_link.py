"""One connection to Aurora: what it said last and when, and the last gate before a command is sent.

The client keeps the latest value of everything and no times. Comparing objects would tell a new value from an
old one, but not a value of this moment from one that came while nobody looked; so its caches are replaced by
ones that note when each value arrives.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from lerobot_plugins.contracts.fourier_gr2 import COMMANDED_GROUPS, SDK_GROUPS
from lerobot_plugins.errors import ZooError
from lerobot_robot_fourier_gr2.aurora_base import Pose

NEVER = -math.inf


class Heard(NamedTuple):
    """Values that Aurora sent, and when they arrived on the clock of `time.monotonic`."""

    values: list[float]
    at_s: float


class HeardMode(NamedTuple):
    """State of the whole body, source of velocities, and when both were heard."""

    state: int
    source: int
    at_s: float


class HeardPose(NamedTuple):
    """The trunk's pose, how sure Aurora is that it stands, and when that was heard."""

    pose: Pose
    stable_level: int
    at_s: float


class AuroraLink:
    """A client with times, and nothing wrong goes out.

    Args:
        client: A connected `AuroraClient` of 0.1.8.
        clock: Seconds that never go back.

    Raises:
        ZooError: Another version of the client, which keeps its values elsewhere.
    """

    def __init__(self, client: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._groups = self._stamped("_robot_control_group_state", clock)
        self._base = self._stamped("_base_data", clock)
        self._mode = self._stamped("_aurora_state", clock)
        self._stand = self._stamped("_stand_pose_state", clock)

    def group(self, name: str) -> Heard | None:
        """Positions of a group of joints; None if not heard of since connecting."""
        at_s = self._groups.stamps.get(name)
        return None if at_s is None else Heard(self._client.get_group_state(name, "position"), at_s)

    def base(self, part: str) -> Heard | None:
        """A part of the base's data, likewise."""
        at_s = self._base.stamps.get(part)
        return None if at_s is None else Heard(self._client.get_base_data(part), at_s)

    def mode(self) -> HeardMode | None:
        """The state of the whole body and the source of velocities, likewise."""
        stamps = self._mode.stamps
        at_s = min(stamps.get(key, NEVER) for key in ("whole_body_fsm_state", "velocity_command_source"))
        if at_s == NEVER:
            return None
        return HeardMode(self._client.get_fsm_state(), self._client.get_velocity_source(), at_s)

    def stand(self) -> HeardPose | None:
        """The trunk's pose, likewise."""
        at_s = self._stand.stamps.get(3)  # the last of its four numbers to be set
        if at_s is None:
            return None
        height, pitch, yaw, stable_level = self._client.get_stand_pose()
        return HeardPose(Pose(height, pitch, yaw), int(stable_level), at_s)

    def command(self, vectors: Mapping[str, Sequence[float]]) -> None:
        """Send positions of groups of joints, in the SDK's order and hand space.

        Raises:
            ZooError: Unknown group, wrong length, a value that is not finite. Nothing is sent.
        """
        for group, values in vectors.items():
            if group not in COMMANDED_GROUPS:
                raise ZooError(
                    "Aurora is not commanded this group", got=group, expected=" or ".join(COMMANDED_GROUPS)
                )
            joints = SDK_GROUPS[group]
            if len(values) != len(joints):
                raise ZooError(
                    f"a command of group {group} has another length", got=len(values), expected=len(joints)
                )
            _require_finite(dict(zip(joints, values, strict=True)))
        # The client takes nothing but Python's floats: NumPy's of 32 bits are a TypeError there.
        self._client.set_group_cmd(
            {group: [float(value) for value in values] for group, values in vectors.items()}
        )

    def velocity(self, x: float, y: float, yaw: float, valid_s: float) -> None:
        """Send velocities of the base, m/s and rad/s, that end by themselves after `valid_s`.

        Raises:
            ZooError: A value that is not finite. Nothing is sent.
        """
        _require_finite({"base_vel_x": x, "base_vel_y": y, "base_vel_yaw": yaw, "their duration": valid_s})
        self._client.set_velocity(float(x), float(y), float(yaw), float(valid_s))

    def stand_pose(self, pose: Pose) -> None:
        """Send the trunk's pose.

        Raises:
            ZooError: A value that is not finite. Nothing is sent.
        """
        _require_finite(pose._asdict())
        self._client.set_stand_pose(*map(float, pose))

    def change_state(self, state: int) -> None:
        """Ask for a state of the whole body; whether it came is heard later."""
        self._client.set_fsm_state(int(state))

    def change_source(self, source: int) -> None:
        """Ask for a source of velocities, likewise."""
        self._client.set_velocity_source(int(source))

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _stamped(self, cache: str, clock: Callable[[], float]) -> Any:
        values = getattr(self._client, cache, None)
        if isinstance(values, dict | list):
            stamped = _StampedDict(values, clock) if isinstance(values, dict) else _StampedList(values, clock)
            setattr(self._client, cache, stamped)
            return stamped
        raise ZooError(
            "this version of fourier-aurora-client keeps its values otherwise",
            got=f"{cache} is a {type(values).__name__}",
            expected="the client of version 0.1.8",
            do="pip install 'fourier-aurora-client==0.1.8'",
        )


class _StampedDict(dict):
    """Notes when each key was set."""

    def __init__(self, values: dict, clock: Callable[[], float]) -> None:
        super().__init__(values)
        self._clock = clock
        self.stamps: dict[Any, float] = {}

    def __setitem__(self, key: Any, value: Any) -> None:
        # The time first: whoever reads in between sees a value that looks older than it is.
        at_s = self._clock()
        super().__setitem__(key, value)
        self.stamps[key] = at_s


class _StampedList(list):
    """The same of a list, by index."""

    def __init__(self, values: list, clock: Callable[[], float]) -> None:
        super().__init__(values)
        self._clock = clock
        self.stamps: dict[int, float] = {}

    def __setitem__(self, index: Any, value: Any) -> None:
        at_s = self._clock()
        super().__setitem__(index, value)
        self.stamps[index] = at_s


def _require_finite(values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ZooError(
                f"the command of {name} is not finite",
                got=value,
                expected="a finite number",
                do="nothing was sent; look after what computes it",
            )
