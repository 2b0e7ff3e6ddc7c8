"""A tiny configuration of every policy type, and what it is trained on. A new policy adds one line."""

from typing import Any

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.policies.factory import make_policy_config
from toy_data import CAMERAS

from lerobot_plugins import registry

TINY: dict[str, dict[str, Any]] = {
    "paligemma_flow": {"paligemma_variant": "tiny", "action_expert_variant": "tiny"},
    "pi05_comet": {
        "paligemma_variant": "tiny",
        "action_expert_variant": "tiny",
        "chunk_size": 8,
        "n_action_steps": 8,
    },
}

STATE_WIDTH, ACTION_WIDTH = 8, 7


def policy_types() -> list[str]:
    """The policy types that our own distribution has registered with LeRobot."""
    packages = [
        plugin.module
        for plugin in registry.load_kind("policy")
        if plugin.distribution == "lerobot_policy_zoo"
    ]
    return sorted(
        name
        for name, config_class in PreTrainedConfig.get_known_choices().items()
        if config_class.__module__.split(".")[0] in packages
    )


def tiny_config(policy_type: str, **changes: Any) -> Any:
    """Two cameras, state and action as in the toy dataset, float32 on the CPU."""
    assert policy_type in TINY, f"add a line for {policy_type} to TINY in {__file__}"
    features = {
        f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, 64, 64)) for name in CAMERAS
    } | {"observation.state": PolicyFeature(FeatureType.STATE, (STATE_WIDTH,))}
    fields: dict[str, Any] = {
        "device": "cpu",
        "dtype": "float32",
        "push_to_hub": False,
        "input_features": features,
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (ACTION_WIDTH,))},
    }
    return make_policy_config(policy_type, **fields | TINY[policy_type] | changes)


def tiny_policy(policy_type: str, seed: int = 0, **changes: Any) -> Any:
    """A policy of random weights, in evaluation mode.

    Layers that start at zero are filled too: behind a zero layer every other mistake is invisible.
    """
    config = tiny_config(policy_type, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy = get_policy_class(policy_type)(config)
        with torch.no_grad():
            for parameter in policy.parameters():
                if not parameter.any():
                    parameter.normal_(std=0.05)
    return policy.eval()


def toy_statistics() -> dict[str, dict[str, np.ndarray]]:
    """Statistics of state and action; the last action dimension is a gripper."""
    stats = {}
    for key, width in (("observation.state", STATE_WIDTH), ("action", ACTION_WIDTH)):
        low, high = -np.linspace(0.5, 1, width), np.linspace(1, 2, width)
        stats[key] = {
            "min": low,
            "max": high,
            "mean": (low + high) / 2,
            "std": (high - low) / 4,
            "q01": low * 0.9,
            "q99": high * 0.9,
            "count": np.array([100]),
        }
    return stats


def raw_batch(config: Any, batch: int = 3, seed: int = 0) -> dict[str, Any]:
    """What LeRobot's training loop hands to the preprocessor; the last row ends in padding."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    horizon = config.chunk_size
    padded_BH = torch.zeros(batch, horizon, dtype=torch.bool)
    padded_BH[-1, horizon // 2 :] = True
    tasks = ["pick up the soup", "open the drawer", "put the red block into the bowl"]
    return {key: rand(batch, *feature.shape) for key, feature in config.image_features.items()} | {
        "observation.state": rand(batch, STATE_WIDTH),
        "action": rand(batch, horizon, ACTION_WIDTH) * 2 - 0.5,
        "action_is_pad": padded_BH,
        "task": [tasks[row % len(tasks)] for row in range(batch)],
    }


def processors(config: Any) -> tuple[Any, Any]:
    """Pre- and postprocessor of a fresh policy on the toy statistics."""
    return make_pre_post_processors(config, dataset_stats=toy_statistics())


def training_batch(config: Any, batch: int = 3, seed: int = 0) -> dict[str, Any]:
    """A preprocessed training batch."""
    return processors(config)[0](raw_batch(config, batch, seed))


def observation_batch(config: Any, batch: int = 3, seed: int = 0) -> dict[str, Any]:
    """The same without what only training has."""
    given = training_batch(config, batch, seed)
    return {key: value for key, value in given.items() if not key.startswith("action")}
