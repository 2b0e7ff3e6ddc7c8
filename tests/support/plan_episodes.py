"""Hand-made episodes with plans.

Shapes: P plans, M slots, S state dimensions.
"""

import numpy as np
from replay_episodes import make_episode

from lerobot_plugins.evaluation.episodes import Episode
from lerobot_plugins.evaluation.plans import EpisodePlans

FRAMES, WAYPOINTS = 12, [0, 3, 7, 11]
# State: x = frame / 10, ignored, gripper width (open up to frame 5). The policy's units are doubled.
RECORDED = np.column_stack(
    [np.arange(FRAMES) / 10, np.zeros(FRAMES), np.where(np.arange(FRAMES) < 6, 0.04, 0)]
)
SCALED = np.column_stack([RECORDED[:, 0] * 2, np.zeros(FRAMES), RECORDED[:, 2] > 0.02])


def plans_of(*plans: tuple[int, list[tuple[float, int, int]]]) -> EpisodePlans:
    """Plans given as (frame, [(x, gripper, duration), ...])."""
    state = np.full((len(plans), len(plans[0][1]), 3), np.nan, np.float32)
    duration = np.zeros(state.shape[:2], np.int64)
    for p, (_, slots) in enumerate(plans):
        for m, (x, gripper, steps) in enumerate(slots):
            state[p, m, 0], state[p, m, 2], duration[p, m] = x, gripper, steps
    scaled = state.copy()
    scaled[..., 0] *= 2
    state[..., 2] *= 0.04
    return EpisodePlans(
        frame_P=np.array([frame for frame, _ in plans]),
        duration_PM=duration,
        state_PMS=state,
        scaled_PMS=scaled,
        recorded_TS=RECORDED.astype(np.float32),
        recorded_scaled_TS=SCALED.astype(np.float32),
        continuous_dims=np.array([0]),
        gripper_dims=np.array([2]),
        waypoint_W=np.array(WAYPOINTS),
    )


def episode_with(plans: EpisodePlans | None, index: int = 0) -> Episode:
    episode = make_episode(index, FRAMES)
    episode.plans = plans
    return episode
