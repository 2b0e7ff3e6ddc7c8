"""A policy that knows the recorded actions, and stock `lerobot-eval` called in this process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.envs import make_env, make_env_pre_post_processors
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.processor import PolicyProcessorPipeline
from lerobot.processor.converters import policy_action_to_transition, transition_to_policy_action
from lerobot.scripts.lerobot_eval import eval_policy_all
from torch import Tensor

from lerobot_env_dataset_replay import DatasetReplayEnv
from lerobot_plugins.evaluation import trace


@dataclass
class OracleConfig(PreTrainedConfig):
    """Just enough of a config."""

    observation_delta_indices = None
    action_delta_indices = None
    reward_delta_indices = None

    def get_optimizer_preset(self) -> None:
        raise NotImplementedError

    def get_scheduler_preset(self) -> None:
        return None

    def validate_features(self) -> None:
        return None


class OraclePolicy(PreTrainedPolicy):
    """Returns the recorded action plus an offset; publishes chunks of `horizon` steps every `replan` frames.

    Its "normalised" units are half the raw ones. Beyond an episode's end its chunks hold 99.
    """

    config_class = OracleConfig
    name = "oracle"

    def __init__(
        self,
        recorded: list[np.ndarray],
        offset: Any = 0.0,
        horizon: int = 0,
        replan: int = 2,
        fail_at: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(OracleConfig())
        self.recorded = [torch.from_numpy(actions) for actions in recorded]
        self.offset = torch.as_tensor(offset, dtype=torch.float32)
        self.horizon, self.replan, self.fail_at = horizon, replan, fail_at
        self.seen: list[dict[str, Any]] = []

    def select_action(self, batch: dict[str, Tensor], **_: Any) -> Tensor:
        self.seen.append(batch)
        actions, rows, chunks = [], [], []
        for row, (episode, frame) in enumerate(batch["observation.place"].int().tolist()):
            if (episode, frame) == self.fail_at:
                raise KeyboardInterrupt
            recorded_TA = self.recorded[episode]
            actions.append(recorded_TA[frame] + self.offset)
            if self.horizon and frame % self.replan == 0:
                chunk_HA = torch.full((self.horizon, recorded_TA.shape[1]), 99.0)
                ahead_TA = recorded_TA[frame : frame + self.horizon]
                chunk_HA[: len(ahead_TA)] = ahead_TA + self.offset
                rows.append(row)
                chunks.append(chunk_HA / 2)
        if chunks:
            trace.publish_chunk(torch.stack(chunks), rows)
        return torch.stack(actions) / 2

    def predict_action_chunk(self, batch: dict[str, Tensor], **_: Any) -> Tensor:
        raise NotImplementedError

    def forward(self, batch: dict[str, Tensor]) -> Any:
        raise NotImplementedError

    def get_optim_params(self) -> dict:
        return {}

    def reset(self) -> None:
        return None


class DoublingPostprocessor:
    """Un-normalises the oracle's actions and announces how."""

    def __call__(self, action: Tensor) -> Tensor:
        trace.publish_decoder(lambda x: x * 2)
        return action * 2


def evaluate(
    policy: PreTrainedPolicy,
    root: Path,
    *,
    batch_size: int = 1,
    n_episodes: int = 3,
    preprocessor: Any = None,
    postprocessor: Any = None,
    videos_dir: Path | None = None,
    **env: Any,
) -> dict[str, Any]:
    """What stock `lerobot-eval` does, for a policy object."""
    config = DatasetReplayEnv(repo_id="local/replay", root=root, **env)
    envs = make_env(config, n_envs=batch_size)
    env_preprocessor, env_postprocessor = make_env_pre_post_processors(config, policy.config)
    with torch.no_grad():
        return eval_policy_all(
            envs,
            policy,
            env_preprocessor,
            env_postprocessor,
            PolicyProcessorPipeline(steps=[]) if preprocessor is None else preprocessor,
            DoublingPostprocessor() if postprocessor is None else postprocessor,
            n_episodes,
            max_episodes_rendered=10 if videos_dir else 0,
            videos_dir=videos_dir,
            start_seed=1000,
        )


def identity_postprocessor() -> PolicyProcessorPipeline:
    """Leaves actions as they are and announces nothing."""
    return PolicyProcessorPipeline(
        steps=[], to_transition=policy_action_to_transition, to_output=transition_to_policy_action
    )
