"""The processor step that brings, in training, the states that a frame's waypoints are made of.

It looks the frame up by its global index in the waypoints of the training dataset; no column is added to any
dataset. The states come behind the current one, so that whatever normalises it normalises them:

    observation.state (B, S) -> (B, 1 + M + C, S): now, at the M waypoints, at the ends of C possible segments

Legend: B batch, S state dims, M waypoints, C candidate segments.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.processor import ProcessorStep, ProcessorStepRegistry
from lerobot.utils.constants import OBS_STATE

from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.processing import runtime
from lerobot_plugins.waypoints.rule import WaypointRule
from lerobot_plugins.waypoints.targets import FrameTargets
from lerobot_plugins.waypoints.training import training_waypoints

DURATION = "observation.waypoint.duration"  # (B, M) int64
REAL = "observation.waypoint.real"  # (B, M) bool: a waypoint of the episode
TERMINAL = "observation.waypoint.terminal"  # (B, M) bool: the slot that says that the episode ends
SEGMENT_DURATION = "observation.waypoint.segment_duration"  # (B, C) int64, 0 for no segment


@dataclass
@ProcessorStepRegistry.register("waypoint_vla_targets")
class WaypointTargetStep(ProcessorStep):
    """Adds waypoint states and durations to training batches; observations to act on pass unchanged.

    What is looked up follows from the run's configuration, so a checkpoint holds nothing of it.
    """

    def __call__(self, transition: EnvTransition) -> EnvTransition:
        run = runtime.training_run()
        if run is None or transition.get(TransitionKey.ACTION) is None:
            return transition
        data = transition.get(TransitionKey.COMPLEMENTARY_DATA) or {}
        if "index" not in data or "episode_index" not in data:
            raise ZooError(
                "training on waypoints needs to know which frame each row is",
                got=f"a batch with {first_names(data)}",
                expected="index and episode_index, as LeRobot's loader gives them",
                do="train with lerobot-train on a LeRobotDataset",
            )
        config = run.config
        targets = targets_of(run.meta, config)
        new = transition.copy()
        observation = dict(new[TransitionKey.OBSERVATION])
        state_BS = observation[OBS_STATE].float()
        index_B = data["index"].cpu().numpy().ravel()
        targets.check(index_B, data["episode_index"].cpu().numpy().ravel(), state_BS.cpu().numpy())
        plan = targets.plan(index_B, config.num_waypoints)
        segments = targets.segments(index_B, config.frame_mode, config.max_shift)
        states = [torch.from_numpy(part).to(state_BS) for part in (plan.state_BMS, segments.end_BCS)]
        observation[OBS_STATE] = torch.cat([state_BS[:, None], *states], dim=1)
        for key, values in (
            (DURATION, plan.duration_BM),
            (REAL, plan.real_BM),
            (TERMINAL, plan.terminal_BM),
            (SEGMENT_DURATION, segments.duration_BC),
        ):
            observation[key] = torch.from_numpy(values)
        new[TransitionKey.OBSERVATION] = observation
        return new

    def transform_features(self, features: Any) -> Any:
        return features


def targets_of(meta: Any, config: Any) -> FrameTargets:
    """The waypoints of a training dataset, made or loaded once per process.

    Raises:
        ZooError: They cannot be made or do not fit; see `training_waypoints`.
    """
    if config.waypoint_table is not None:
        return _targets(Path(meta.root), None, config.waypoint_table, config.max_duration)
    name = config.robot_preset or "free"
    return _targets(Path(meta.root), config.waypoint_rule, name, config.max_duration)


@lru_cache(maxsize=1)
def _targets(root: Path, rule: WaypointRule | None, name: str, max_duration: int) -> FrameTargets:
    return training_waypoints(root, rule, name, max_duration=max_duration)
