"""The plans that a policy announces while an episode is played, brought to two units beside the recording.

Shapes: T frames, P plans, M waypoints of a plan, S state dimensions.
"""

import numpy as np
import torch

from lerobot_env_dataset_replay.recording import RecordedEpisode
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.evaluation.plans import EpisodePlans
from lerobot_plugins.waypoints.extraction import extract_waypoints


class PlanLog:
    """Collects the plans of one episode.

    What is wrong shows when the first plan comes, not when a long episode is over.

    Args:
        recorded: The episode.
    """

    def __init__(self, recorded: RecordedEpisode) -> None:
        self._recorded = recorded
        self._plans: list[tuple[int, trace.Plan]] = []
        self._state_map: trace.StateMap | None = None
        self._waypoint_W = np.zeros(0, np.int64)

    def add(self, frame: int, plan: trace.Plan, state_map: trace.StateMap | None) -> None:
        """Keep the plan made at a frame.

        Args:
            frame: Of the episode.
            plan: As the policy announced it.
            state_map: What its states are in raw units.

        Raises:
            ZooError: The dataset has no state as wide as the planned one, or one from which no waypoints can
                be made; the units of the plan are unknown; or plans of one episode are of different kinds.
        """
        if not self._plans:
            self._begin(plan, state_map)
        elif _kind(plan) != _kind(self._plans[0][1]):
            raise ZooError(
                "a policy published plans of different kinds in one episode",
                got=f"{_kind(self._plans[0][1])}; then {_kind(plan)}",
                expected="as many waypoints, state dims and planned dims in each",
            )
        self._plans.append((frame, plan))

    def gathered(self) -> EpisodePlans | None:
        """The episode's plans and what they are compared with; None where there are none."""
        state_TS, state_map = self._recorded.state_TS, self._state_map
        # Both are there once a plan has been accepted.
        if state_TS is None or state_map is None:
            return None
        first = self._plans[0][1]
        scaled_PMS = np.stack([_finite(plan.state_MS) for _, plan in self._plans])
        with torch.inference_mode():
            state_PMS = state_map.inverse(torch.from_numpy(scaled_PMS)).cpu().numpy()
            recorded_scaled_TS = state_map.forward(torch.from_numpy(state_TS)).cpu().numpy()
        return EpisodePlans(
            frame_P=np.array([frame for frame, _ in self._plans], np.int64),
            duration_PM=np.stack([plan.duration_M for _, plan in self._plans]).astype(np.int64),
            state_PMS=_finite(state_PMS),
            scaled_PMS=scaled_PMS,
            recorded_TS=state_TS,
            recorded_scaled_TS=recorded_scaled_TS,
            continuous_dims=np.array(first.continuous_dims, np.int64),
            gripper_dims=np.array(first.gripper_dims, np.int64),
            waypoint_W=self._waypoint_W,
        )

    def _begin(self, plan: trace.Plan, state_map: trace.StateMap | None) -> None:
        state_TS, width = self._recorded.state_TS, plan.state_MS.shape[1]
        if state_TS is None or state_TS.shape[1] != width:
            raise ZooError(
                "the policy plans states that the dataset does not have",
                got="no vector observation.state" if state_TS is None else f"{state_TS.shape[1]} dimensions",
                expected=f"{width} dimensions",
                do="evaluate on a dataset with the features the policy was trained on",
            )
        if state_map is None:
            raise ZooError(
                "a policy published a plan, but no processor step published what its states are in raw units",
                expected="the preprocessor's normalising step calls trace.publish_state_map",
            )
        self._state_map = state_map
        self._waypoint_W = extract_waypoints(state_TS, self._recorded.action_TA, plan.rule)


def _kind(plan: trace.Plan) -> str:
    slots, width = plan.state_MS.shape
    dims = [*plan.continuous_dims, *plan.gripper_dims]
    return f"{slots} waypoints of {width} dims with {dims} planned"


def _finite(values: np.ndarray) -> np.ndarray:
    """What is not finite is NaN."""
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)
