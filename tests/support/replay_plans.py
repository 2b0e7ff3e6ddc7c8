"""A policy that knows the true waypoints of a replayed dataset and plans with known errors."""

from typing import Any

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from replay_policies import OraclePolicy
from torch import Tensor

from lerobot_plugins.evaluation import trace
from lerobot_plugins.processing.affine import Affine
from lerobot_plugins.processing.feature_map import FeatureMap
from lerobot_plugins.processing.grippers import GripperMap
from lerobot_plugins.waypoints.rule import WaypointRule

# Nothing but the ends of an episode and the flip of its gripper: frames 0, length // 2, length - 1.
RULE = WaypointRule(arms=((0, 1),), threshold=1e6, gripper_dims=(2,), gripper_atol=0.5, max_duration=None)
WAYPOINTS = ([0, 3, 6], [0, 2, 3], [0, 4, 8])
# Normalised states are half the raw ones; the gripper is open above 0.
STATE_MAP = FeatureMap(Affine(torch.zeros(4), torch.full((4,), 0.5)), (GripperMap(2, "threshold", 0.0),))
SLOTS = 3


def recorded_states(dataset: LeRobotDataset) -> list[np.ndarray]:
    """The recorded states of each episode, (T, S)."""
    columns = dataset.hf_dataset.with_format("numpy", columns=["observation.state", "episode_index"])[:]
    return [
        np.stack(columns["observation.state"])[columns["episode_index"] == episode]
        for episode in range(dataset.meta.total_episodes)
    ]


class PlanningPolicy(OraclePolicy):
    """Plans at some frames of each episode, and publishes chunks as long as a plan's first segment.

    Of every plan the first waypoint is a frame late; x is off by 0.1 at the first, by 0.3 at the second one;
    the gripper is open. `endless` plans have waypoints behind the episode's end.

    Args:
        recorded: Recorded actions of each episode.
        states: Recorded states of each episode.
        frames: At which frames of each episode a plan is made.
        endless: (episode, frame) of plans that do not end.
        state_map: What the preprocessor announces about states; None for a policy that forgets to.
    """

    def __init__(
        self,
        recorded: list[np.ndarray],
        states: list[np.ndarray],
        frames: list[list[int]],
        endless: tuple[tuple[int, int], ...] = (),
        state_map: trace.StateMap | None = STATE_MAP,
        **options: Any,
    ) -> None:
        super().__init__(recorded, **options)
        self.states, self.frames, self.endless, self.state_map = states, frames, endless, state_map

    def plan(self, episode: int, frame: int) -> trace.Plan:
        """The plan made at a frame."""
        raw_MS = np.full((SLOTS, 4), np.nan, np.float32)
        duration_M = np.zeros(SLOTS, np.int64)
        ahead = [waypoint for waypoint in WAYPOINTS[episode] if waypoint > frame]
        for slot, (before, waypoint) in enumerate(zip([frame, *ahead], ahead, strict=False)):
            raw_MS[slot] = self.states[episode][waypoint]
            raw_MS[slot, 0] += (0.1, 0.3)[slot]
            duration_M[slot] = waypoint - before + (slot == 0)
        if (episode, frame) in self.endless:
            raw_MS[len(ahead) :], duration_M[len(ahead) :] = 0.0, 5
        state_MS = STATE_MAP.forward(torch.from_numpy(raw_MS)).numpy()
        # What lies behind a plan's end must count nowhere.
        state_MS[duration_M == 0] = 77.0
        state_MS[:, 2], state_MS[:, 3] = 1.0, np.nan
        return trace.Plan(state_MS, duration_M, (0, 1), (2,), RULE)

    def select_action(self, batch: dict[str, Tensor], **options: Any) -> Tensor:
        if self.state_map is not None:
            trace.publish_state_map(self.state_map)
        action_BA = super().select_action(batch, **options)
        for row, (episode, frame) in enumerate(batch["observation.place"].int().tolist()):
            if frame in self.frames[episode]:
                plan = self.plan(episode, frame)
                trace.publish_plan([plan], [row])
                ahead_HA = self.recorded[episode][frame : frame + SLOTS]
                chunk_HA = torch.full((SLOTS, ahead_HA.shape[1]), 99.0)
                chunk_HA[: len(ahead_HA)] = ahead_HA
                length = int(np.clip(plan.duration_M[0], 1, SLOTS))
                trace.publish_chunk(chunk_HA[None] / 2, [row], [length])
        return action_BA
