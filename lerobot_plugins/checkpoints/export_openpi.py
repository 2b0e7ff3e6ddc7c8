"""A pi0.5 policy folder made an openpi PyTorch checkpoint."""

import json
import re
from pathlib import Path
from typing import Any

import torch
from lerobot.policies import make_pre_post_processors
from tqdm import tqdm

from lerobot_plugins.checkpoints.folder import new_folder
from lerobot_plugins.checkpoints.openpi_assets import checked_asset_id
from lerobot_plugins.checkpoints.openpi_layout import RULES
from lerobot_plugins.checkpoints.pi05_names import EMBEDDING, EXPERT_LM_HEAD, openpi_name
from lerobot_plugins.checkpoints.policy_folder import (
    CONFIG,
    EMA,
    WEIGHTS,
    expected_shapes,
    read_config,
    require_plain,
    require_same_tensors,
)
from lerobot_plugins.checkpoints.safetensors_stream import SafetensorsStream, open_weights
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.processing.normalization import ExactNormalization
from lerobot_plugins.statistics.openpi import FILE, write_norm_stats

VARIANTS = {"paligemma_3b": "gemma_2b", "gemma_300m": "gemma_300m"}
EXPERT_WIDTH_OF = "model.action_in_proj.weight"  # (expert width, action dims)

_NAMES = {target for places in RULES.values() for target, _ in places}


def export_openpi(
    folder: Path, output: Path, dtype: torch.dtype = torch.float32, asset_id: str | None = None
) -> Path:
    """Write model.safetensors, config.json and assets/<asset id>/norm_stats.json as openpi reads them.

    openpi loads strictly into a network that has a language head in the expert, which nothing uses: it is
    written as zeros. The embedding is stored under the name of PaliGemma's language head, as openpi's own
    files do.

    Args:
        folder: A policy folder of type pi05_comet.
        output: The folder to write; must not exist.
        dtype: Of the weights.
        asset_id: Where the statistics go; None is the data set they come from.

    Raises:
        ZooError: The folder is no whole pi0.5 policy, or has no statistics.
    """
    config = read_config(folder)
    require_plain(folder)
    with open_weights(folder / WEIGHTS) as file, new_folder(output) as partial:
        names = sorted(file.keys())
        _require_pi05(names, folder)
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        require_same_tensors(shapes, expected_shapes(config), folder)
        announced = {openpi_name(name): (shape, dtype) for name, shape in shapes.items()}
        unused_shape = (shapes[EMBEDDING][0], shapes[EXPERT_WIDTH_OF][0])
        announced[openpi_name(EXPERT_LM_HEAD)] = (unused_shape, dtype)
        with SafetensorsStream(partial / WEIGHTS, announced) as stream:
            for name in tqdm(names, unit="tensor"):
                stream.write(openpi_name(name), file.get_tensor(name))
            stream.write(openpi_name(EXPERT_LM_HEAD), torch.zeros(unused_shape, dtype=dtype))
        (partial / CONFIG).write_text(json.dumps(_openpi_config(config, dtype), indent=2))
        _write_assets(config, folder, partial / "assets", asset_id)
    return output


def _require_pi05(names: list[str], folder: Path) -> None:
    other = {name for name in names if re.sub(r"\.layers\.\d+\.", ".layers.{layer}.", name) not in _NAMES}
    if not other:
        return
    do = "export a policy of type pi05_comet"
    if any(name.startswith(EMA) for name in other):
        do = f"choose the weights first: lerobot-plugins checkpoint export {folder} --output PLAIN [--ema]"
    raise ZooError(
        f"{folder} has tensors that openpi's pi0.5 does not have",
        got=first_names(other),
        expected="its vision tower, language model, action expert and projections alone",
        do=do,
    )


def _openpi_config(config: Any, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "action_dim": config.max_action_dim,
        "action_horizon": config.chunk_size,
        # Only the presets of the published weights have a name in openpi.
        "paligemma_variant": VARIANTS.get(config.paligemma_variant, config.paligemma_variant),
        "action_expert_variant": VARIANTS.get(config.action_expert_variant, config.action_expert_variant),
        "precision": str(dtype).removeprefix("torch."),
    }


def _write_assets(config: Any, folder: Path, assets: Path, asset_id: str | None) -> None:
    before, _ = make_pre_post_processors(config, pretrained_path=str(folder))
    step = next((step for step in before.steps if isinstance(step, ExactNormalization)), None)
    if step is None or not step.stats:
        raise ZooError(
            f"{folder} has no statistics",
            expected="a policy that was trained or imported with statistics",
            do="train it with lerobot-train first",
        )
    chosen = checked_asset_id(asset_id or step.dataset or "")
    write_norm_stats(step.stats, assets / chosen / FILE)
