"""What a policy intends: one plan, and the plans of an evaluated episode beside what they are compared with.

Shapes: T frames, P plans, M waypoints of a plan, S state dimensions, W waypoints of the episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.rule import WaypointRule

PREFIX = "plan_"


@dataclass(frozen=True)
class Plan:
    """What a policy intends for one row.

    Args:
        state_MS: Planned states in the policy's normalised units, float32; NaN in dims that it does not plan.
        duration_M: Steps from the waypoint before, the first from now; the first 0 ends the plan.
        continuous_dims: State dims that are planned as numbers.
        gripper_dims: State dims that are planned as 0 closed or 1 open.
        rule: How the waypoints that the policy learned from were extracted.

    Raises:
        ZooError: States, durations and dims do not belong together, or a duration is negative.
    """

    state_MS: np.ndarray
    duration_M: np.ndarray
    continuous_dims: tuple[int, ...]
    gripper_dims: tuple[int, ...]
    rule: WaypointRule

    def __post_init__(self) -> None:
        slots, width = self.state_MS.shape
        dims = (*self.continuous_dims, *self.gripper_dims)
        if (
            np.shape(self.duration_M) != (slots,)
            or np.min(self.duration_M, initial=0) < 0
            or not set(dims) <= set(range(width))
        ):
            raise ZooError(
                "a published plan does not fit together",
                got=f"states {self.state_MS.shape}, durations {np.asarray(self.duration_M).tolist()}, "
                f"planned dims {list(dims)}",
                expected="one duration from 0 on per waypoint, and planned dims of the state",
            )


@dataclass(frozen=True)
class EpisodePlans:
    """What a policy intended, beside what the demonstrator did.

    Args:
        frame_P: The frame at which each plan was made.
        duration_PM: Steps from the waypoint before; the first 0 ends a plan.
        state_PMS: Planned states in raw units; NaN in dims that are not planned and where not finite.
        scaled_PMS: The same in the policy's normalised units, in which grippers are 0 closed or 1 open.
        recorded_TS: Recorded states, raw.
        recorded_scaled_TS: The same in the policy's units.
        continuous_dims: State dims that are planned as numbers.
        gripper_dims: State dims that are planned as open or closed.
        waypoint_W: Frames of the episode's waypoints, extracted as the policy's training targets were.
    """

    frame_P: np.ndarray
    duration_PM: np.ndarray
    state_PMS: np.ndarray
    scaled_PMS: np.ndarray
    recorded_TS: np.ndarray
    recorded_scaled_TS: np.ndarray
    continuous_dims: np.ndarray
    gripper_dims: np.ndarray
    waypoint_W: np.ndarray

    @property
    def planned(self) -> np.ndarray:
        """Which slots hold a waypoint: those before the plan's end."""
        return np.logical_and.accumulate(self.duration_PM > 0, axis=1)

    @property
    def lengths(self) -> np.ndarray:
        """How many waypoints each plan has, (P,)."""
        return self.planned.sum(axis=1)

    @property
    def times(self) -> np.ndarray:
        """The frame at which each waypoint is to be reached, (P, M); it may lie behind the episode's end."""
        return self.frame_P[:, None] + np.cumsum(self.duration_PM, axis=1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For an episode's file."""
        return {PREFIX + field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "EpisodePlans | None":
        """The plans in an episode's file; None where there are none.

        Raises:
            KeyError: Some of the arrays are missing.
        """
        if PREFIX + "frame_P" not in arrays:
            return None
        return cls(**{field.name: arrays[PREFIX + field.name] for field in fields(cls)})
