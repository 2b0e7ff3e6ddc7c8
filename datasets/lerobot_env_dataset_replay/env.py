"""The players: gymnasium environments whose observations are recorded frames.

Teacher forcing: whatever the policy does, the next observation is the recorded one. So errors do not build
up, and a score says how close the policy's actions are to the demonstrator's, not whether the task succeeds.

In rollout k of a batch of B environments, player i plays the chosen episode number k*B + i. Numbers past the
last one are repeats: stock `lerobot-eval` always fills its batches and plays `--eval.n_episodes` episodes. A
repeat does not enter the report. It ends in one step, once all chosen episodes are in, with their mean score
as its reward, so that LeRobot's `avg_sum_reward` stays exactly that of the report.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from lerobot.envs.utils import NEW_ROLLOUT_OPTION, freeze_after_episode_end

from lerobot_env_dataset_replay.playback import Playback
from lerobot_env_dataset_replay.recorder import Recorder
from lerobot_env_dataset_replay.recording import Recording
from lerobot_env_dataset_replay.rendering import EpisodeCanvas
from lerobot_plugins.evaluation import trace

if TYPE_CHECKING:
    from lerobot_env_dataset_replay.config import DatasetReplayEnv

Step = tuple[dict[str, Any], float, bool, bool, dict[str, Any]]

# The report shows camera pictures of the first episodes.
PICTURED_EPISODES = 3


def make_vector_env(config: "DatasetReplayEnv", players: int) -> gym.vector.SyncVectorEnv:
    """`players` replay environments that share one recording and one report."""
    recording = Recording(config.repo_id, config.root, config.layout, config.episodes, config.video_backend)
    recorder = Recorder(recording, config.tolerance, config.report_dir, players)
    return gym.vector.SyncVectorEnv(
        [
            freeze_after_episode_end(partial(ReplayEnv, recording, recorder, player, players))
            for player in range(players)
        ],
        autoreset_mode=gym.vector.AutoresetMode.NEXT_STEP,
    )


class ReplayEnv(gym.Env):
    """One player.

    Args:
        recording: The chosen episodes.
        recorder: Where finished episodes go.
        player: This environment's row in the batch.
        players: The size of the batch.
    """

    def __init__(self, recording: Recording, recorder: Recorder, player: int, players: int) -> None:
        self.recording, self.recorder = recording, recorder
        self.player, self.players = player, players
        self.render_mode = "rgb_array"
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": recording.fps}
        self._max_episode_steps = max(recording.length(episode) for episode in recording.episodes)
        self._rollout = -1
        self._closed = False
        self._canvas: EpisodeCanvas | None = None
        self._load(0)
        self.action_space = gym.spaces.Box(-np.inf, np.inf, (len(recording.action_names),), np.float32)
        self.observation_space = _space_of(self._playback.observation)

    @property
    def task_description(self) -> str:
        """The task text of the current frame."""
        return self._playback.recorded.task_T[self._playback.frame]

    @property
    def task(self) -> str:
        return self.task_description

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start this player's episode of a new rollout; the seed has no effect."""
        super().reset(seed=seed)
        if (options or {}).get(NEW_ROLLOUT_OPTION):
            self._rollout += 1
        self._load(max(self._rollout, 0) * self.players + self.player)
        trace.discard(self.player)
        return self._playback.observation, {"is_success": False}

    def step(self, action: np.ndarray) -> Step:
        """Score one executed action, (A,) in raw units, and move to the next recorded frame.

        Raises:
            ZooError: The width of the action, or of the published chunk or plan, is not the dataset's.
        """
        if self._repeats:
            return self._step_of_repeat()
        playback = self._playback
        error = playback.execute(np.asarray(action))
        if (chunk_HA := trace.take(self.player)) is not None:
            playback.announce(chunk_HA)
        if (plan := trace.take_plan(self.player)) is not None:
            playback.intend(plan)
        if (subtask := trace.take_subtask(self.player)) is not None:
            playback.pursue(subtask)
        # The recording ends here, the task need not: truncated, not terminated.
        truncated, success = playback.at_last_frame, False
        if truncated:
            self.recorder.finish(playback.finished())
            success = self.recorder.success(playback.recorded.index)
        else:
            self._show(playback.frame + 1)
        reward = -error / len(playback.recorded)
        return playback.observation, reward, False, truncated, {"is_success": success}

    def render(self) -> np.ndarray:
        """An RGB frame, (H, W, 3) uint8: the cameras, and predicted beside recorded actions."""
        if self._canvas is None:
            self._canvas = EpisodeCanvas(self._playback.recorded, self.recorder.run)
        playback = self._playback
        return self._canvas.draw(playback.cameras, playback.frame, playback.predicted_TA, playback.chunks)

    def close(self) -> None:
        """The last player to close writes the report."""
        if not self._closed:
            self._closed = True
            self.recorder.close()

    def _load(self, number: int) -> None:
        """Make the chosen episode of this number the current one."""
        episodes = self.recording.episodes
        self._repeats = number >= len(episodes)
        recorded = self.recording.episode(episodes[number % len(episodes)])
        self._playback = Playback(recorded, self.recording.action_names, number < PICTURED_EPISODES)
        self._canvas = None
        self._show(0)

    def _show(self, frame: int) -> None:
        observation = self.recording.observation(self._playback.recorded, frame)
        self._playback.show(observation, frame)

    def _step_of_repeat(self) -> Step:
        playback = self._playback
        # Something to wait for is there only in the rollout that also plays the last chosen episodes.
        if not self.recorder.complete:
            return playback.observation, 0.0, False, False, {"is_success": False}
        success = self.recorder.success(playback.recorded.index)
        return playback.observation, self.recorder.mean_score, False, True, {"is_success": success}


def _space_of(observation: dict[str, Any]) -> gym.spaces.Dict:
    """The space of observations like this one."""
    return gym.spaces.Dict(
        {
            key: _space_of(value) if isinstance(value, dict) else _box(value)
            for key, value in observation.items()
        }
    )


def _box(value: np.ndarray) -> gym.Space:
    if value.dtype == bool:
        return gym.spaces.MultiBinary(value.shape)
    if np.issubdtype(value.dtype, np.integer):
        limits = np.iinfo(value.dtype)
        return gym.spaces.Box(limits.min, limits.max, value.shape, value.dtype)
    return gym.spaces.Box(-np.inf, np.inf, value.shape, value.dtype)
