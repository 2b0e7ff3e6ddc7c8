"""A tiny policy to serve, and what clients send."""

from typing import Any

import numpy as np
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies import make_pre_post_processors
from tiny_policies import processors, tiny_policy

from lerobot_plugins.serving.presets import observation_map
from lerobot_plugins.serving.session import Session


def tiny_session(prompt: str | None = None, **changes: Any) -> Session:
    policy = tiny_policy("pi05_comet", **changes)
    before, after = processors(policy.config)
    return Session(policy, before, after, observation_map(policy.config, {}, prompt))


def observation(session: Session, seed: int = 0) -> dict[str, Any]:
    """Keys as openpi's LIBERO client writes them."""
    rng = np.random.default_rng(seed)
    message: dict[str, Any] = {"prompt": "pick up the soup"}
    for name, shape in session.observations.features.items():
        key = "observation/" + name.rpartition(".")[2]
        picture = name in session.observations.pictures
        message[key] = (
            rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) if picture else rng.random(shape, np.float32)
        )
    return message


def r1_pro_session(preset: str | None = "behavior1k", **given: Any) -> Session:
    """A tiny policy of R1 Pro in BEHAVIOR-1K, as `lerobot-plugins serve --preset behavior1k` has it."""
    cameras = ("rgb.head", "rgb.left_wrist", "rgb.right_wrist")
    features = {
        f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, 32, 32)) for name in cameras
    }
    widths = {"observation.state": (FeatureType.STATE, 23), "action": (FeatureType.ACTION, 23)}
    vectors = {name: PolicyFeature(kind, (width,)) for name, (kind, width) in widths.items()}
    action = {"action": vectors.pop("action")}
    policy = tiny_policy("pi05_comet", input_features=features | vectors, output_features=action)
    ones = np.ones(23)
    entry = {"min": -ones, "max": ones, "mean": 0 * ones, "std": ones, "q01": -ones, "q99": ones}
    before, after = make_pre_post_processors(policy.config, dataset_stats=dict.fromkeys(widths, entry))
    options: dict[str, Any] = {"given": {}, "preset": preset, **given}
    return Session(policy, before, after, observation_map(policy.config, **options))
