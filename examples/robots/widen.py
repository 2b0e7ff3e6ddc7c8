"""Widen a SmolVLA or PI0 checkpoint to more state and action dims than it was trained with.

    python examples/robots/widen.py lerobot/smolvla_base --output smolvla_gr2 --state 45 --action 37

Three layers know these widths. Their stored weights stay; the columns of added inputs and the rows of added
outputs are zero, so that with the dims it knows the network does what it did before. The features of the old
robot are taken out of config.json: LeRobot then takes the new dataset's. Processors are copied; lerobot-train
gives them the new dataset's statistics. Memory for one tensor suffices.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import snapshot_download

from lerobot_plugins.checkpoints.folder import new_folder
from lerobot_plugins.checkpoints.safetensors_stream import CODES, SafetensorsStream, open_weights
from lerobot_plugins.errors import ZooError

WEIGHTS, CONFIG = "model.safetensors", "config.json"
TYPES = ("smolvla", "pi0")
# End of a weight's name -> the axis that grows, and the field of config.json that says how far.
GROWING = {
    "state_proj.weight": (1, "max_state_dim"),
    "action_in_proj.weight": (1, "max_action_dim"),
    "action_out_proj.weight": (0, "max_action_dim"),
    "action_out_proj.bias": (0, "max_action_dim"),
}


def widen(source: Path, output: Path, *, state: int, action: int) -> dict[str, tuple[int, int]]:
    """Write a widened copy of a policy folder.

    Args:
        source: Folder with config.json and model.safetensors.
        output: Folder to write, which must not exist.
        state: `max_state_dim` of the copy.
        action: Its `max_action_dim`.

    Returns:
        Name of each widened tensor -> old and new size of its grown axis.

    Raises:
        ZooError: It is no SmolVLA or PI0 policy, a layer is missing or wider already, or `output` exists.
    """
    config = _config(source)
    widths = {"max_state_dim": state, "max_action_dim": action}
    dtypes = {code: dtype for dtype, code in CODES.items()}
    with new_folder(output) as folder, open_weights(source / WEIGHTS) as file:
        for other in source.iterdir():
            if other.is_file() and other.name not in (CONFIG, WEIGHTS):
                shutil.copy(other, folder / other.name)
        (folder / CONFIG).write_text(
            json.dumps(config | widths | {"input_features": {}, "output_features": {}}, indent=4)
        )
        plan, grown = {}, {}
        for name in file.keys():  # noqa: SIM118  an open file is no dict
            stored = file.get_slice(name)
            shape = list(stored.get_shape())
            for end, (axis, field) in GROWING.items():
                if name == end or name.endswith(f".{end}"):
                    grown[name] = (shape[axis], widths[field])
                    shape[axis] = widths[field]
            plan[name] = (tuple(shape), dtypes[stored.get_dtype()])
        _require_growth(source, grown)
        with SafetensorsStream(folder / WEIGHTS, plan) as stream:
            for name, (shape, _) in plan.items():
                tensor = file.get_tensor(name)
                stream.write(name, _padded(tensor, shape) if name in grown else tensor)
    return grown


def _config(source: Path) -> dict:
    path = source / CONFIG
    config = json.loads(path.read_text()) if path.is_file() else {}
    if config.get("type") not in TYPES:
        raise ZooError(
            "only SmolVLA and PI0 are widened here",
            got=f"type {config.get('type')} in {path}" if config else f"no {path}",
            expected=" or ".join(TYPES),
            do="name a policy folder; the zoo's own policies widen themselves with --policy.max_action_dim",
        )
    return config


def _require_growth(source: Path, grown: dict[str, tuple[int, int]]) -> None:
    missing = [end for end in GROWING if not any(name.endswith(end) for name in grown)]
    if missing:
        raise ZooError(f"{source / WEIGHTS} lacks layers that have to grow", got=f"no {', '.join(missing)}")
    narrower = {name: sizes for name, sizes in grown.items() if sizes[0] > sizes[1]}
    if narrower:
        name, (old, new) = next(iter(narrower.items()))
        raise ZooError(f"{name} is wider already", got=old, expected=f"at most {new}", do="choose more dims")


def _padded(tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor with zeros behind its ends."""
    padded = tensor.new_zeros(shape)
    padded[tuple(slice(size) for size in tensor.shape)] = tensor
    return padded


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="a policy folder, or its id on the Hub")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    parser.add_argument("--state", type=int, default=45, help="max_state_dim, by default 45")
    parser.add_argument("--action", type=int, default=37, help="max_action_dim, by default 37")
    given = parser.parse_args(argv)
    source = Path(given.source)
    if not source.is_dir():
        source = Path(snapshot_download(given.source))
    try:
        grown = widen(source, given.output, state=given.state, action=given.action)
    except ZooError as error:
        parser.exit(2, f"error: {error}\n")
    for name, (old, new) in grown.items():
        print(f"{name}: {old} -> {new}")


if __name__ == "__main__":
    main()
