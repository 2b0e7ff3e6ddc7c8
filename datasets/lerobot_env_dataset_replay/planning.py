"""The plans that a policy announced while an episode was played, brought to one unit beside the recording.

Shapes: T frames, P plans, M waypoints of a plan, S state dimensions.
"""

from collections.abc import Sequence

import numpy as np
import torch

from lerobot_env_dataset_replay.recording import RecordedEpisode
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.evaluation.plans import EpisodePlans
from lerobot_plugins.waypoints.extraction import extract_waypoints


def gathered(plans: Sequence[tuple[int, trace.Plan]], recorded: RecordedEpisode) -> EpisodePlans:
    """The plans of one episode and what they are compared with.

    Args:
        plans: (frame, plan), at least one.
        recorded: The episode.

    Raises:
        ZooError: The dataset has no state as wide as the planned one, or the policy did not say what its
            units are.
    """
    first = plans[0][1]
    state_TS, state_map = recorded.state_TS, trace.state_map()
    width = first.state_MS.shape[1]
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
    scaled_PMS = np.stack([plan.state_MS for _, plan in plans])
    with torch.inference_mode():
        raw_PMS = state_map.inverse(torch.from_numpy(scaled_PMS)).cpu().numpy()
        recorded_scaled_TS = state_map.forward(torch.from_numpy(state_TS)).cpu().numpy()
    return EpisodePlans(
        frame_P=np.array([frame for frame, _ in plans]),
        duration_PM=np.stack([plan.duration_M for _, plan in plans]).astype(np.int64),
        state_PMS=raw_PMS,
        scaled_PMS=scaled_PMS,
        recorded_TS=state_TS,
        recorded_scaled_TS=recorded_scaled_TS,
        continuous_dims=np.array(first.continuous_dims, np.int64),
        gripper_dims=np.array(first.gripper_dims, np.int64),
        waypoint_W=extract_waypoints(state_TS, recorded.action_TA, first.rule),
    )
