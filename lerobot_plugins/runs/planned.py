"""A training as its command line describes it."""

from dataclasses import dataclass

from lerobot.configs import PreTrainedConfig

from lerobot_plugins.checkpoints.first import DatasetSource


@dataclass
class PlannedRun:
    """Options of `lerobot-plugins runs estimate`, spelled as lerobot-train spells them.

    Args:
        policy: The policy.
        dataset: What it would be trained on.
        batch_size: Of one process.
    """

    policy: PreTrainedConfig
    dataset: DatasetSource
    batch_size: int = 8
