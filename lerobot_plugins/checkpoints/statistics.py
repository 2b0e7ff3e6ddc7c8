"""The statistics that a policy carries in its processors."""

import json
from pathlib import Path

import numpy as np

from lerobot_plugins.checkpoints.safetensors_stream import open_weights
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.described import Described, Stats

_PIPELINES = ("policy_preprocessor.json", "policy_postprocessor.json")
#: Their state is `<feature>.<statistic>`; this project's steps go before LeRobot's, which they leave idle.
_STEPS = (
    ("zoo_exact_normalizer", "zoo_exact_unnormalizer"),
    ("normalizer_processor", "unnormalizer_processor"),
)


def is_policy(folder: Path) -> bool:
    """Whether a folder is a policy with processors, or a checkpoint that holds one."""
    return any((_policy(folder) / name).is_file() for name in _PIPELINES)


def policy_statistics(folder: Path) -> Described:
    """What a policy normalises with.

    Args:
        folder: A policy folder, or a checkpoint of lerobot-train with `pretrained_model` in it.

    Raises:
        ZooError: There are no processors, or none of them has statistics.
    """
    policy = _policy(folder)
    if not is_policy(folder):
        raise ZooError(
            f"{folder} is no policy with processors",
            got=f"no {' and no '.join(_PIPELINES)}",
            expected="the folder pretrained_model of a checkpoint",
            do="for openpi's checkpoints give assets/.../norm_stats.json as a file",
        )
    found: dict[str, Stats] = {}
    for path in (policy / name for name in _PIPELINES if (policy / name).is_file()):
        for step in json.loads(path.read_text())["steps"]:
            name, file = step.get("registry_name"), step.get("state_file")
            if name and file and any(name in pair for pair in _STEPS):
                found.setdefault(name, {}).update(_read(policy / Path(file).name))
    for forward, backward in _STEPS:
        if stats := found.get(backward, {}) | found.get(forward, {}):
            return Described(stats, str(policy))
    raise ZooError(
        f"the processors of {policy} have no statistics",
        got="no step with a state",
        expected=" or ".join(forward for forward, _ in _STEPS),
        do="train the policy on a dataset, or give another checkpoint",
    )


def _policy(folder: Path) -> Path:
    inner = folder / "pretrained_model"
    return inner if inner.is_dir() else folder


def _read(path: Path) -> Stats:
    stats: Stats = {}
    with open_weights(path) as file:
        for flat in file.keys():  # noqa: SIM118  a safetensors file is no mapping
            key, name = flat.rsplit(".", 1)
            stats.setdefault(key, {})[name] = np.atleast_1d(file.get_tensor(flat).double().numpy())
    return stats
