"""The first checkpoint of a policy, at step 0: what adapters are trained on top of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.policies import make_policy, make_pre_post_processors
from lerobot.utils.random_utils import set_seed

from lerobot_plugins.checkpoints.folder import new_folder


@dataclass
class DatasetSource:
    """Which dataset: its repo id, and where it is on disk."""

    repo_id: str
    root: str | None = None
    revision: str | None = None


@dataclass
class FirstCheckpoint:
    """Options of `lerobot-plugins checkpoint init`, spelled as lerobot-train spells them.

    Args:
        policy: The policy to initialise.
        dataset: The dataset it will be trained on: its features and statistics go into the checkpoint.
        output: Folder to write.
        seed: Seed of the weights that are random.
    """

    policy: PreTrainedConfig
    dataset: DatasetSource
    output: Path
    seed: int = 1000


def write_first_checkpoint(options: FirstCheckpoint) -> Path:
    """Write weights, config and both processors of an untrained policy; returns the folder.

    Raises:
        ZooError: The output folder exists.
    """
    output = Path(options.output)
    with new_folder(output) as partial:
        set_seed(options.seed)
        source = options.dataset
        meta = LeRobotDatasetMetadata(source.repo_id, root=source.root, revision=source.revision)
        policy: Any = make_policy(options.policy, ds_meta=meta)
        policy.save_pretrained(partial)
        for processor in make_pre_post_processors(options.policy, dataset_stats=meta.stats):
            processor.save_pretrained(partial)
    return output
