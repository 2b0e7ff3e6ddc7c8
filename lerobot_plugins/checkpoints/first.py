"""The first checkpoint of a policy, at step 0: what adapters are trained on top of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx import HTTPError
from huggingface_hub.errors import HFValidationError
from lerobot.configs import PreTrainedConfig
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.policies import make_policy, make_pre_post_processors
from lerobot.utils.constants import HF_LEROBOT_HOME
from lerobot.utils.random_utils import set_seed

from lerobot_plugins.checkpoints.folder import new_folder
from lerobot_plugins.errors import ZooError


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
        ZooError: The output folder exists, or the dataset cannot be had.
    """
    output = Path(options.output)
    with new_folder(output) as partial:
        set_seed(options.seed)
        meta = dataset_metadata(options.dataset)
        policy: Any = make_policy(options.policy, ds_meta=meta)
        policy.save_pretrained(partial)
        for processor in make_pre_post_processors(options.policy, dataset_stats=meta.stats):
            processor.save_pretrained(partial)
    return output


def dataset_metadata(source: DatasetSource) -> LeRobotDatasetMetadata:
    """Metadata of a dataset on disk or on the Hub.

    Raises:
        ZooError: It cannot be had.
    """
    try:
        return LeRobotDatasetMetadata(source.repo_id, root=source.root, revision=source.revision)
    # Offline mode and the Hub's refusals are OSErrors; a network that is not there is none.
    except (OSError, HTTPError, HFValidationError) as error:
        folder = source.root or HF_LEROBOT_HOME / source.repo_id
        raise ZooError(
            f"there is no LeRobot dataset '{source.repo_id}' in {folder}, nor can it be fetched",
            got=str(error).splitlines()[0],
            expected="a folder with meta/info.json, or a dataset on the Hub",
            do="name its folder with --dataset.root=DIR, or fetch it first: "
            f"hf download {source.repo_id} --repo-type dataset --local-dir {folder}",
        ) from error
