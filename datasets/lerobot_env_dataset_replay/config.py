"""The environment `dataset_replay` as LeRobot configures it."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerobot.configs import PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.processor import PolicyProcessorPipeline

from lerobot_env_dataset_replay.info import checked_episodes, find_root, read_info
from lerobot_env_dataset_replay.observations import ObservationLayout, RestoreObservations
from lerobot_plugins.errors import ZooError

if TYPE_CHECKING:
    import gymnasium as gym


@EnvConfig.register_subclass("dataset_replay")
@dataclass
class DatasetReplayEnv(EnvConfig):
    """Recorded episodes as an environment: every step returns the next recorded observation, whatever the
    policy did, and scores the policy's action against the recorded one.

    Args:
        repo_id: The dataset, `owner/name`.
        root: Its folder; by default the one LeRobot uses for this `repo_id`.
        episodes: Which episodes to play, in this order; all of them by default.
        report_dir: Where predictions and the report go; by default
            `outputs/replay/<dataset>_<date-time>`. A report of an earlier process there is replaced. Later
            evaluations of one process (in training) go to new sub-folders `eval_0002`, `eval_0003`, ...
        tolerance: An episode counts as a success (LeRobot's `pc_success`) when the mean absolute error of
            its executed actions, normalised to [-1, 1] by the dataset's range, is at most this.
        video_backend: The decoder of video frames.

    `fps`, `features` and `features_map` are read from the dataset.
    """

    repo_id: str = ""
    root: Path | None = None
    episodes: list[int] | None = None
    report_dir: Path | None = None
    tolerance: float = 0.1
    video_backend: str = "pyav"
    features: dict[str, PolicyFeature] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tolerance) and self.tolerance > 0):
            raise ZooError(
                "env.tolerance is no error bound",
                got=self.tolerance,
                expected="a number above 0",
                do="correct --env.tolerance",
            )
        if self.repo_id:
            root = find_root(self.repo_id, self.root)
            info = read_info(root)
            # Here already: training builds its environment only for the first evaluation, hours later.
            checked_episodes(self.episodes, info["total_episodes"], root)
            self.fps = info["fps"]
            self.features, self.features_map = self.layout.env_features, self.layout.features_map

    @property
    def layout(self) -> ObservationLayout:
        """How the dataset's features travel through the environment interface.

        Raises:
            ZooError: No `repo_id`, or no usable dataset there.
        """
        if not self.repo_id:
            raise ZooError(
                "dataset_replay needs a dataset",
                got="no --env.repo_id",
                expected="the dataset whose episodes are replayed",
                do="pass --env.repo_id=OWNER/NAME [--env.root=DIR]",
            )
        return ObservationLayout.of(read_info(find_root(self.repo_id, self.root))["features"])

    @property
    def gym_kwargs(self) -> dict:
        return {}

    def create_envs(
        self, n_envs: int, use_async_envs: bool = False
    ) -> dict[str, dict[int, "gym.vector.VectorEnv"]]:
        """One suite with one task: `n_envs` players that share one dataset and one report.

        `use_async_envs` has no effect: replaying is cheap, and one process keeps the report in one place.

        Raises:
            ZooError: As `layout`; an episode that does not exist; a `report_dir` that holds other files.
        """
        from lerobot_env_dataset_replay.env import make_vector_env

        return {self.type: {0: make_vector_env(self, n_envs)}}

    def get_env_processors(self) -> tuple[Any, Any]:
        steps = [RestoreObservations(self.layout)]
        return PolicyProcessorPipeline(steps=steps), PolicyProcessorPipeline(steps=[])
