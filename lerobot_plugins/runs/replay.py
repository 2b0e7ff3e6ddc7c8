"""Open-loop evaluation of a policy in this process, by the functions that stock lerobot-eval calls."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lerobot.configs import PreTrainedConfig
from lerobot.envs import EnvConfig, close_envs, make_env, make_env_pre_post_processors
from lerobot.policies import make_policy, make_pre_post_processors
from lerobot.scripts.lerobot_eval import eval_policy_all
from lerobot.utils.random_utils import set_seed

from lerobot_plugins import registry


@dataclass(frozen=True)
class ReplaySource:
    """What is replayed: a dataset and its episodes, in order."""

    repo_id: str
    root: Path
    episodes: Sequence[int]


def replay(
    policy_folder: Path,
    source: ReplaySource,
    report_dir: Path,
    batch_size: int = 1,
    seed: int = 1000,
    device: str | None = None,
) -> None:
    """Replay recorded episodes and write the report.

    Args:
        policy_folder: A policy folder, an adapter's too.
        source: The episodes.
        report_dir: A new folder.
        batch_size: Episodes at a time.
        seed: Of the global generators, for policies that sample with them.
        device: Where to compute; None is the policy's own.

    Raises:
        ZooError: As the environment `dataset_replay` and the policy raise it.
    """
    registry.load_host_plugins()
    set_seed(seed)
    env_config: Any = EnvConfig.get_choice_class("dataset_replay")(
        repo_id=source.repo_id, root=source.root, episodes=list(source.episodes), report_dir=report_dir
    )
    config = PreTrainedConfig.from_pretrained(policy_folder)
    config.pretrained_path = policy_folder
    if device is not None:
        config.device = device
    envs = make_env(env_config, n_envs=min(batch_size, len(source.episodes)))
    try:
        policy = make_policy(config, env_cfg=env_config)
        policy.eval()
        preprocessor, postprocessor = make_pre_post_processors(
            config,
            pretrained_path=str(policy_folder),
            preprocessor_overrides={"device_processor": {"device": str(config.device)}},
        )
        before, after = make_env_pre_post_processors(env_cfg=env_config, policy_cfg=config)
        amp = (
            torch.autocast(device_type=torch.device(str(config.device)).type)
            if config.use_amp
            else contextlib.nullcontext()
        )
        with torch.no_grad(), amp:
            eval_policy_all(
                envs,
                policy,
                before,
                after,
                preprocessor,
                postprocessor,
                n_episodes=len(source.episodes),
                start_seed=seed,
            )
    finally:
        close_envs(envs)
