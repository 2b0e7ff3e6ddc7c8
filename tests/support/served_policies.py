"""A tiny policy to serve, and what clients send."""

from typing import Any

import numpy as np
from tiny_policies import processors, tiny_policy

from lerobot_plugins.serving.observations import ObservationMap
from lerobot_plugins.serving.session import Session


def tiny_session(prompt: str | None = None) -> Session:
    policy = tiny_policy("pi05_comet")
    before, after = processors(policy.config)
    return Session(policy, before, after, ObservationMap.of(policy.config, {}, prompt))


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
