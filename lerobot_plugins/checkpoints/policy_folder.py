"""LeRobot policy folders: what is in them, and what travels with the weights."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class

from lerobot_plugins.checkpoints.load_report import empty_parameters
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.paths import inside

WEIGHTS, CONFIG = "model.safetensors", "config.json"
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
EMA = "ema."  # prefix of the averages that a policy keeps beside its weights
PROCESSORS = re.compile(r"policy_(pre|post)processor.*\.(json|safetensors)")


def read_config(folder: Path) -> Any:
    """The configuration of a policy folder.

    Raises:
        ZooError: There is none.
    """
    if not (folder / CONFIG).is_file():
        raise ZooError(
            f"{folder} is no policy folder",
            got="no config.json",
            expected="a folder with config.json and model.safetensors",
            do="give the folder pretrained_model of a checkpoint",
        )
    return PreTrainedConfig.from_pretrained(folder)


def require_plain(folder: Path) -> None:
    """Refuse an adapter, which has no weights of its own.

    Raises:
        ZooError: The folder holds an adapter.
    """
    if (folder / ADAPTER_CONFIG).is_file():
        raise ZooError(
            f"{folder} holds an adapter, not a whole policy",
            got=ADAPTER_CONFIG,
            expected=WEIGHTS,
            do=f"merge it first: lerobot-plugins checkpoint merge-lora {folder} --output MERGED",
        )


def expected_shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight of a configuration's policy, which is built without memory."""
    with empty_parameters():
        policy: Any = get_policy_class(config.type)(config, load_backbone=False)
    weights = policy.state_dict()
    return {name: tuple(value.shape) for name, value in weights.items() if not name.startswith(EMA)}


def require_same_tensors(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    """Compare a checkpoint's tensors, under our names, with the policy's.

    Raises:
        ZooError: One is missing, unexpected or of another shape.
    """
    problems = {
        "missing": expected.keys() - found.keys(),
        "unexpected": found.keys() - expected.keys(),
        "mis-shaped": {
            f"{name} {found[name]} instead of {expected[name]}"
            for name in found.keys() & expected.keys()
            if found[name] != expected[name]
        },
    }
    if any(problems.values()):
        raise ZooError(
            f"the tensors of {path} are not those of the policy",
            got="; ".join(
                f"{len(names)} {kind}: {first_names(names)}" for kind, names in problems.items() if names
            ),
            expected=f"the policy's {len(expected)} tensors, each of its shape, and no other",
            do="check that the configuration has the checkpoint's geometry (--policy.paligemma_variant, "
            "--policy.action_expert_variant, --policy.max_action_dim)",
        )


def copy_processors(source: Path, target: Path) -> None:
    """Copy both pipelines as they are: steps, tokenizer, statistics."""
    for file in sorted(source.iterdir()):
        if PROCESSORS.fullmatch(file.name):
            shutil.copyfile(inside(source, file.name, source), target / file.name)
