"""Small openpi checkpoints on disk, and their import."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.policies.factory import make_policy_config
from openpi_tree import norm_stats, random_tree, write_orbax

from lerobot_plugins.checkpoints.import_openpi import ImportOptions, import_openpi

ASSET_ID = "behavior-1k/2025-challenge-demos"
TINY = {
    "paligemma_variant": "tiny",
    "action_expert_variant": "tiny",
    "device": "cpu",
    "dtype": "float32",
    "push_to_hub": False,
}


def write_assets(checkpoint: Path, asset_id: str = ASSET_ID, **widths: int) -> None:
    """The statistics of a checkpoint."""
    folder = checkpoint / "assets" / asset_id
    folder.mkdir(parents=True)
    (folder / "norm_stats.json").write_text(json.dumps(norm_stats(**widths)))


def write_jax_checkpoint(folder: Path, tree: dict[str, np.ndarray] | None = None, **widths: int) -> Path:
    """A step of openpi's JAX training: params and assets."""
    write_orbax(folder / "params", random_tree() if tree is None else tree, value=True)
    write_assets(folder, **widths)
    return folder


def import_tiny(checkpoint: Path, output: Path, **options: Any) -> Path:
    """Import with the tiny presets, for R1 Pro unless a dataset is named."""
    policy = make_policy_config("pi05_comet", **TINY)
    dataset = options.pop("dataset", None)
    if dataset is None:
        options.setdefault("robot", "r1_pro")
    return import_openpi(checkpoint, output, ImportOptions(policy, dataset), **options)
