"""An openpi checkpoint made a LeRobot policy folder: weights, config, both processors, and a proof sheet.

The expected names and shapes are those of the policy itself, built without memory; every stored tensor and
every tensor of the policy is accounted for, or nothing is written.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.policies import make_pre_post_processors
from lerobot.utils.constants import ACTION, OBS_IMAGES, OBS_STATE
from lerobot.utils.feature_utils import dataset_to_policy_features
from tqdm import tqdm

from lerobot_plugins.checkpoints.first import DatasetSource
from lerobot_plugins.checkpoints.folder import new_folder
from lerobot_plugins.checkpoints.openpi_assets import read_assets
from lerobot_plugins.checkpoints.openpi_source import OpenpiSource, open_source
from lerobot_plugins.checkpoints.policy_folder import WEIGHTS, expected_shapes, require_same_tensors
from lerobot_plugins.checkpoints.safetensors_stream import SafetensorsStream
from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.normalization import ExactNormalization

PROOF = "proof.json"

# What a checkpoint's robot sees and does, where there is no dataset to ask.
ROBOTS = {
    r1pro.ROBOT_TYPE: {
        f"{OBS_IMAGES}.rgb.head": PolicyFeature(FeatureType.VISUAL, (3, 720, 720)),
        f"{OBS_IMAGES}.rgb.left_wrist": PolicyFeature(FeatureType.VISUAL, (3, 480, 480)),
        f"{OBS_IMAGES}.rgb.right_wrist": PolicyFeature(FeatureType.VISUAL, (3, 480, 480)),
        OBS_STATE: PolicyFeature(FeatureType.STATE, (len(r1pro.STATE_NAMES),)),
        ACTION: PolicyFeature(FeatureType.ACTION, (len(r1pro.ACTION_NAMES),)),
    }
}
ACTION_NAMES = {r1pro.ROBOT_TYPE: r1pro.ACTION_NAMES}


@dataclass
class ImportOptions:
    """Options in LeRobot's spelling: the policy to make, and the dataset whose features it has."""

    policy: PreTrainedConfig
    dataset: DatasetSource | None = None


def import_openpi(
    path: Path,
    output: Path,
    options: ImportOptions,
    robot: str | None = None,
    asset_id: str | None = None,
    stats_from: str = "checkpoint",
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a policy folder from an openpi checkpoint and return it.

    Args:
        path: A JAX checkpoint (its root or `params`) or a PyTorch folder.
        output: The folder to write; must not exist.
        options: The policy's configuration, and the dataset that gives its features.
        robot: A key of `ROBOTS`, in place of a dataset.
        asset_id: Which of the checkpoint's statistics.
        stats_from: `checkpoint`, or `dataset` to normalise with the dataset's own statistics.
        dtype: Of the stored weights.

    Raises:
        ZooError: The checkpoint cannot be read, is another network, or its statistics do not fit.
    """
    config = options.policy
    meta = set_features(config, options.dataset, robot)
    with new_folder(output) as partial:
        source = open_source(path)
        require_same_tensors(source.shapes, expected_shapes(config), path)
        if stats_from == "dataset":
            if meta is None:
                raise ZooError(
                    "--stats=dataset needs a dataset", do="pass --dataset.repo_id=... --dataset.root=..."
                )
            origin, stats = meta.repo_id, config.dataset_statistics(meta)
        else:
            widths = {ACTION: config.action_width}
            if getattr(config, "discrete_state_input", True):
                widths[OBS_STATE] = config.state_width
            origin, stats = read_assets(source.assets, widths, asset_id)
        for pipeline in make_pre_post_processors(config, dataset_stats=stats):
            for step in pipeline.steps:
                if isinstance(step, ExactNormalization):
                    step.dataset = origin
            pipeline.save_pretrained(partial)
        config.save_pretrained(partial)
        _write_weights(source, partial, dtype)
    return output


def set_features(
    config: PreTrainedConfig, dataset: DatasetSource | None, robot: str | None
) -> LeRobotDatasetMetadata | None:
    if (dataset is None) == (robot is None):
        raise ZooError(
            "what the policy sees and does must come from one place",
            got="both a dataset and a robot" if dataset else "neither a dataset nor a robot",
            expected="--dataset.repo_id and --dataset.root, or --robot",
            do=f"pass --robot={r1pro.ROBOT_TYPE} for BEHAVIOR-1K, else a dataset recorded with your robot",
        )
    meta = None
    if dataset is not None:
        meta = LeRobotDatasetMetadata(dataset.repo_id, root=dataset.root, revision=dataset.revision)
        features = dataset_to_policy_features(meta.features)
        names = meta.features[ACTION].get("names")
    else:
        if robot not in ROBOTS:
            raise ZooError("unknown --robot", got=robot, expected=", ".join(ROBOTS))
        features, names = ROBOTS[robot], ACTION_NAMES[robot]
    config.output_features = {ACTION: features[ACTION]}
    config.input_features = {key: value for key, value in features.items() if key != ACTION}
    if hasattr(config, "action_feature_names") and isinstance(names, list):
        config.action_feature_names = names
    config.validate_features()
    return meta


def _write_weights(source: OpenpiSource, folder: Path, dtype: torch.dtype) -> None:
    announced = {name: (shape, dtype) for name, shape in source.shapes.items()}
    proof = []
    with SafetensorsStream(folder / WEIGHTS, announced) as stream:
        for name, tensor, origin in tqdm(source.tensors(), total=len(announced), unit="tensor"):
            # In parts: the test makes arrays as large as what it is given.
            if not all(part.isfinite().all() for part in tensor.split(4096)):
                raise ZooError(
                    f"{origin['source']} holds NaN or infinity",
                    expected="finite weights",
                    do="use the checkpoint of an earlier step",
                )
            checksum = stream.write(name, tensor)
            proof.append({"target": name, **origin, "shape": list(tensor.shape), "sha256": checksum})
            del tensor  # a view of its leaf, which must be gone before the next one is read
    sheet = {
        "schema_version": 1,
        "source": source.kind,
        "dtype": str(dtype).removeprefix("torch."),
        "set_aside": source.set_aside,
        "tensors": sorted(proof, key=lambda entry: entry["target"]),
    }
    (folder / PROOF).write_text(json.dumps(sheet, indent=1))
