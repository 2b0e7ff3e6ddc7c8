"""The plans of one evaluated episode, and the waypoints that they are compared with.

Shapes: T frames, P plans, M waypoints of a plan, S state dimensions, W waypoints of the episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

PREFIX = "plan_"


@dataclass(frozen=True)
class EpisodePlans:
    """What a policy intended, beside what the demonstrator did.

    Args:
        frame_P: The frame at which each plan was made.
        duration_PM: Steps from the waypoint before; 0 from the end of a plan on.
        state_PMS: Planned states in raw units, grippers 0 closed or 1 open; NaN in dims that are not planned.
        scaled_PMS: The same in the policy's normalised units.
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
        return np.cumprod(self.duration_PM > 0, axis=1).astype(bool)

    @property
    def times(self) -> np.ndarray:
        """The frame at which each waypoint is to be reached; it may lie behind the episode's end."""
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
