"""A LoRA adapter and its base made one plain policy."""

from pathlib import Path
from typing import Any

from lerobot.policies import get_policy_class
from safetensors.torch import save_file

from lerobot_plugins.checkpoints.folder import new_folder
from lerobot_plugins.checkpoints.policy_folder import (
    ADAPTER,
    ADAPTER_CONFIG,
    WEIGHTS,
    copy_processors,
    read_config,
)
from lerobot_plugins.checkpoints.safetensors_stream import open_weights
from lerobot_plugins.errors import ZooError, first_names


def merge_lora(folder: Path, output: Path) -> int:
    """Write base plus adapter as a policy folder; returns the number of merged linear layers.

    The merge is done in float32, also where the base is frozen in bfloat16.

    Args:
        folder: An adapter's policy folder, as lerobot-train --peft writes it.
        output: The folder to write; must not exist.

    Raises:
        ZooError: No adapter, its base is gone, or its tensors do not fit the base.
    """
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict

    if not (folder / ADAPTER_CONFIG).is_file():
        raise ZooError(
            f"{folder} holds no adapter",
            got=f"no {ADAPTER_CONFIG}",
            expected="the pretrained_model folder of a run with --peft",
        )
    config = read_config(folder)
    base = Path(str(PeftConfig.from_pretrained(folder).base_model_name_or_path))
    if not base.exists():
        raise ZooError(
            "the base of the adapter is not there",
            got=base,
            expected="the policy folder that the adapter was trained on",
            do=f"put it back, or change base_model_name_or_path in {folder / ADAPTER_CONFIG}",
        )
    dtype, config.dtype = config.dtype, "float32"
    with new_folder(output) as partial:
        policy: Any = get_policy_class(config.type).from_pretrained(base, config=config)
        names = set(policy.state_dict())
        with open_weights(folder / ADAPTER) as file:
            stored = set(file.keys())
        adapted: Any = PeftModel.from_pretrained(policy, str(folder))
        _require_same_names(stored, set(get_peft_model_state_dict(adapted)), folder)
        layers = len({name.split(".lora_A")[0] for name in stored if ".lora_A" in name})
        merged = adapted.merge_and_unload(safe_merge=True)
        weights = {name: value.detach().cpu().contiguous() for name, value in merged.state_dict().items()}
        _require_same_names(set(weights), names, base)
        save_file(weights, partial / WEIGHTS, metadata={"format": "pt"})
        config.dtype, config.use_peft, config.pretrained_path = dtype, False, None
        config.save_pretrained(partial)
        copy_processors(folder, partial)
    return layers


def _require_same_names(found: set[str], expected: set[str], path: Path) -> None:
    problems = {"missing": expected - found, "unexpected": found - expected}
    if any(problems.values()):
        raise ZooError(
            f"the tensors of {path} do not fit",
            got="; ".join(f"{kind}: {first_names(names)}" for kind, names in problems.items() if names),
            expected="every tensor of the adapted policy and no other",
            do="check that the adapter and its base belong together",
        )
