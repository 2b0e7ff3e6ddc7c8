"""Which columns waypoints are made from, and how closely straight segments must follow them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class WaypointRule:
    """What one set of waypoints is made with.

    Args:
        arms: Dimensions of the state, per arm. Each arm is simplified on its own; the waypoints unite.
        threshold: Every frame lies closer than this to its segment, in the raw units of the state (metres and
            radians count alike). At 0 or below every frame is a waypoint.
        gripper_dims: Dimensions of the action in which a change is a waypoint of its own.
        gripper_atol: A gripper changes when two consecutive actions differ by more than this, in raw units.
        max_duration: Longest segment in frames; None for no limit.
        state_key: The feature that holds the state.
        action_key: The feature that holds the action.

    Raises:
        ZooError: A dimension is negative or named twice, or a number is out of range.
    """

    arms: tuple[tuple[int, ...], ...]
    threshold: float
    gripper_dims: tuple[int, ...] = ()
    gripper_atol: float = 1.0
    max_duration: int | None = 32
    state_key: str = "observation.state"
    action_key: str = "action"

    def __post_init__(self) -> None:
        for name, dims in (("arms", sum(self.arms, ())), ("gripper_dims", self.gripper_dims)):
            if len(set(dims)) < len(dims) or min(dims, default=0) < 0:
                raise _wrong(name, dims, "dimensions from 0 on, each once")
        if not self.arms or not all(self.arms):
            raise _wrong("arms", self.arms, "at least one dimension of the state for each arm")
        if not math.isfinite(self.threshold):
            raise _wrong("threshold", self.threshold, "a number in the units of the state")
        if not (math.isfinite(self.gripper_atol) and self.gripper_atol >= 0):
            raise _wrong("gripper_atol", self.gripper_atol, "a number from 0 on")
        if self.max_duration is not None and self.max_duration < 1:
            raise _wrong("max_duration", self.max_duration, "at least 1 frame, or None for no limit")

    def to_dict(self) -> dict[str, Any]:
        return {
            name: _as_lists(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "WaypointRule":
        """The rule that `to_dict` described.

        Raises:
            ZooError: A field is missing or unknown, or has a wrong value.
        """
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            raise _wrong("fields", sorted(values), sorted(expected))
        try:
            return cls(
                arms=tuple(tuple(int(dim) for dim in arm) for arm in values["arms"]),
                threshold=float(values["threshold"]),
                gripper_dims=tuple(int(dim) for dim in values["gripper_dims"]),
                gripper_atol=float(values["gripper_atol"]),
                max_duration=None if values["max_duration"] is None else int(values["max_duration"]),
                state_key=str(values["state_key"]),
                action_key=str(values["action_key"]),
            )
        except (TypeError, ValueError) as error:
            raise _wrong("values", dict(values), "numbers and lists of numbers") from error


# Thresholds of the published index files; in other use: LIBERO 0.01, CALVIN 0.01, R1 Lite 0.008.
# Grippers: LIBERO and CALVIN flip between -1 and 1, R1 Lite moves between 0 and 100.
PRESETS = {
    "libero": WaypointRule(arms=(tuple(range(6)),), threshold=0.006, gripper_dims=(6,)),
    "calvin": WaypointRule(arms=(tuple(range(6)),), threshold=0.02, gripper_dims=(6,)),
    "r1_lite": WaypointRule(
        arms=(tuple(range(6)), tuple(range(7, 13))), threshold=0.001, gripper_dims=(6, 13)
    ),
}


def _as_lists(value: tuple) -> list:
    return [_as_lists(item) if isinstance(item, tuple) else item for item in value]


def _wrong(name: str, got: object, expected: object) -> ZooError:
    return ZooError(f"the waypoint rule has wrong {name}", got=got, expected=expected, do=f"correct {name}")
