"""A plain policy folder from a trained one: no training state, and if asked for, the averaged weights."""

from pathlib import Path

import torch
from tqdm import tqdm

from lerobot_plugins.checkpoints.folder import new_folder
from lerobot_plugins.checkpoints.policy_folder import (
    EMA,
    WEIGHTS,
    copy_processors,
    read_config,
    require_plain,
)
from lerobot_plugins.checkpoints.safetensors_stream import SafetensorsStream, open_weights
from lerobot_plugins.errors import ZooError, first_names


def export_plain(folder: Path, output: Path, ema: bool = False) -> int:
    """Write weights, config and processors without averages; returns how many tensors the averages replaced.

    Args:
        folder: A policy folder.
        output: The folder to write; must not exist.
        ema: Let the averaged weights `ema.<name>` become the weights.

    Raises:
        ZooError: The folder is no whole policy, or has no averages although they are asked for.
    """
    config = read_config(folder)
    require_plain(folder)
    with open_weights(folder / WEIGHTS) as file, new_folder(output) as partial:
        stored = set(file.keys())
        averages = {name for name in stored if name.startswith(EMA)}
        names = stored - averages
        orphans = {name for name in averages if name.removeprefix(EMA) not in names}
        if orphans or (ema and not averages):
            raise ZooError(
                f"{folder} has no averages of its weights"
                if ema
                else f"the averages in {folder} fit no weights",
                got=first_names(orphans) if orphans else "no tensor named ema.*",
                expected="ema.<name> for each trained weight",
                do="train with --policy.ema_decay, or export without --ema",
            )
        sources = {name: EMA + name if ema and EMA + name in averages else name for name in names}
        # The averages are float32, whatever the weights are stored in.
        announced = {
            name: (tuple(file.get_slice(source).get_shape()), _dtype(file, source))
            for name, source in sources.items()
        }
        with SafetensorsStream(partial / WEIGHTS, announced) as stream:
            for name, source in tqdm(sorted(sources.items()), unit="tensor"):
                stream.write(name, file.get_tensor(source))
        if getattr(config, "ema_decay", None) is not None:
            config.ema_decay = None
        config.save_pretrained(partial)
        copy_processors(folder, partial)
    return sum(name != source for name, source in sources.items())


def _dtype(file: object, name: str) -> torch.dtype:
    # The slice of an empty range knows the dtype without reading the tensor.
    part = file.get_slice(name)  # type: ignore[attr-defined]
    return (part[:0] if part.get_shape() else file.get_tensor(name)).dtype  # type: ignore[attr-defined]
