"""A tiny configuration of every policy type, and what it is trained on. A new policy adds one line."""

import contextlib
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.policies.factory import make_policy_config
from toy_data import CAMERAS
from waypoint_data import write_walks

from lerobot_plugins import registry
from lerobot_plugins.processing import runtime
from lerobot_plugins.waypoints.columns import recorded_episodes
from lerobot_plugins.waypoints.rule import PRESETS

TINY: dict[str, dict[str, Any]] = {
    "paligemma_flow": {"paligemma_variant": "tiny", "action_expert_variant": "tiny"},
    "pi05_comet": {
        "paligemma_variant": "tiny",
        "action_expert_variant": "tiny",
        "chunk_size": 8,
        "n_action_steps": 8,
    },
    "pi05_comet_vlm2": {
        "paligemma_variant": "tiny",
        "action_expert_variant": "tiny",
        "chunk_size": 8,
        "n_action_steps": 8,
        "geometry_encoder": "stub",
        "geometry_dim": 16,
        "view_dim": 8,
        "memory_hidden": 32,
        "memory_frames": 3,
    },
    "waypoint_vla": {
        "paligemma_variant": "tiny",
        "action_expert_variant": "tiny",
        "chunk_size": 8,
        "n_action_steps": 8,
        "max_duration": 8,
        "robot_preset": "libero",
        "waypoint_threshold": 0.15,
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


def fresh_policy(policy_type: str, **changes: Any) -> Any:
    """A policy as training makes it, layers that start at zero included."""
    torch.manual_seed(0)
    return get_policy_class(policy_type)(tiny_config(policy_type, **changes)).train()


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


TASKS = ["pick up the soup", "open the drawer", "put the red block into the bowl"]


@cache
def walks() -> tuple[Any, np.ndarray, np.ndarray]:
    """Metadata of a dataset of numbers, its states (F, S), and the episode of each frame (F,)."""
    # Kept until the interpreter ends.
    folder = tempfile.TemporaryDirectory(prefix="walks-")
    root = write_walks(Path(folder.name) / "walks", scale=0.1)
    episodes = list(recorded_episodes(root, PRESETS["libero"]))
    meta = SimpleNamespace(
        root=root,
        repo_id="local/walks",
        stats=toy_statistics(),
        tasks=pd.DataFrame(index=TASKS),
        folder=folder,
    )
    lengths = [len(episode.state_TS) for episode in episodes]
    states = np.concatenate([episode.state_TS for episode in episodes])
    return meta, states, np.repeat(np.arange(len(episodes)), lengths)


@contextlib.contextmanager
def training_run(config: Any) -> Iterator[None]:
    """As if the configuration's policy were being trained on `walks`."""
    runtime.bind(walks()[0], config)
    try:
        yield
    finally:
        runtime.bind(None, None)


def raw_batch(config: Any, batch: int = 3, seed: int = 0, history: bool = False) -> dict[str, Any]:
    """What LeRobot's training loop hands to the preprocessor; the last row ends in padding.

    With `history`, observations have the moments that the configuration asks for; the first row's oldest one
    lies before its episode.
    """
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    horizon = config.chunk_size
    padded_BH = torch.zeros(batch, horizon, dtype=torch.bool)
    padded_BH[-1, horizon // 2 :] = True
    _, states, episodes = walks()
    # Frames of different episodes; the last one lies before the end of its own.
    index = torch.linspace(seed + 3, len(states) - 3, batch).long()
    moments = config.observation_delta_indices if history else None
    steps = () if moments is None else (len(moments),)
    padding = {}
    state = torch.from_numpy(states)[index]
    if moments is not None:
        state = state[:, None].repeat(1, len(moments), 1)
        padded_BK = torch.zeros(batch, len(moments), dtype=torch.bool)
        padded_BK[0, 0] = True
        padding = {f"{key}_is_pad": padded_BK for key in (*config.image_features, "observation.state")}
    pictures = {key: rand(batch, *steps, *feature.shape) for key, feature in config.image_features.items()}
    return (pictures | padding) | {
        "observation.state": state,
        "action": rand(batch, horizon, ACTION_WIDTH) * 2 - 0.5,
        "action_is_pad": padded_BH,
        "task": [TASKS[row % len(TASKS)] for row in range(batch)],
        "index": index,
        "episode_index": torch.from_numpy(episodes)[index],
    }


def processors(config: Any) -> tuple[Any, Any]:
    """Pre- and postprocessor of a fresh policy on the toy statistics."""
    return make_pre_post_processors(config, dataset_stats=toy_statistics())


def training_batch(config: Any, batch: int = 3, seed: int = 0) -> dict[str, Any]:
    """A preprocessed training batch."""
    with training_run(config):
        return processors(config)[0](raw_batch(config, batch, seed, history=True))


def observation_batch(config: Any, batch: int = 3, seed: int = 0) -> dict[str, Any]:
    """The same without what only training has."""
    raw = raw_batch(config, batch, seed)
    only_training = ("action", "action_is_pad", "index", "episode_index")
    return processors(config)[0]({key: value for key, value in raw.items() if key not in only_training})
