"""Open-loop evaluation inside stock `lerobot-eval`: recorded episodes as an environment.

`--env.type=dataset_replay --env.repo_id=... --env.root=... --env.episodes=[0,3]`. Importing this package
registers the environment's config and nothing more.
"""

from lerobot_env_dataset_replay.config import DatasetReplayEnv

__all__ = ["DatasetReplayEnv"]
