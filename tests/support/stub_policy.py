"""The smallest policy on the shared base class: one weight, actions that tell where they come from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from torch import Tensor, nn

from lerobot_plugins.nn.flow_matching import euler_integrate
from lerobot_plugins.policy.base import ZooPolicy
from lerobot_plugins.policy.configuration import ZooPolicyConfig
from lerobot_plugins.policy.losses import LossTerm

WIDTH = 2


@PreTrainedConfig.register_subclass("stub_for_tests")
@dataclass
class StubConfig(ZooPolicyConfig):
    """Fields of the mixin and nothing else."""

    def get_optimizer_preset(self) -> Any:
        raise NotImplementedError

    def get_scheduler_preset(self) -> None:
        return None


class StubPolicy(ZooPolicy):
    """Its chunks count: row r, chunk c, step h is 100 * r + 10 * c + h, where r is read off the state."""

    config_class = StubConfig
    name = "stub_for_tests"

    def __init__(self, config: StubConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.weight = nn.Parameter(torch.ones(WIDTH, WIDTH))
        self.matrix_dtype: torch.dtype | None = None
        self.settle_parameters()

    def loss_terms(self, batch: dict[str, Any], rng: np.random.Generator) -> tuple[list[LossTerm], dict]:
        """Squared distance between actions and noise; remembers what matrix products compute in."""
        action = batch["action"]
        self.matrix_dtype = (action @ self.weight).dtype
        noise = torch.from_numpy(rng.standard_normal(tuple(action.shape), dtype=np.float32))
        error = (action * self.weight.mean() - noise).square()
        return [LossTerm(error, torch.ones(WIDTH), per_action=True)], {"noise": noise.mean()}

    def sample_chunk(self, batch: dict[str, Any], noise_BHA: Tensor | None, **rtc: Any) -> Tensor:
        """Counting chunks; with guidance, Euler over a constant field."""
        self.matrix_dtype = (batch["observation.state"][:, :WIDTH] @ self.weight).dtype
        rows = batch["observation.state"][:, :1]
        steps = torch.arange(self.config.chunk_size)
        chunk_BHA = (100 * rows + 10 * self.chunks_since_reset + steps)[..., None].expand(-1, -1, WIDTH)
        if noise_BHA is not None:
            chunk_BHA = chunk_BHA + noise_BHA
        if rtc and self.rtc_processor is not None:
            processor = self.rtc_processor
            return euler_integrate(
                lambda x, t: torch.zeros_like(x),
                chunk_BHA.float().contiguous(),
                4,
                lambda **step: processor.denoise_step(**step, **rtc),
            )
        return chunk_BHA


def stub_config(**changes: Any) -> StubConfig:
    """One camera, state and action of two dims, chunks of four."""
    fields: dict[str, Any] = {
        "device": "cpu",
        "dtype": "float32",
        "chunk_size": 4,
        "n_action_steps": 4,
        "input_features": {
            "observation.images.front": PolicyFeature(FeatureType.VISUAL, (3, 8, 8)),
            "observation.state": PolicyFeature(FeatureType.STATE, (WIDTH,)),
        },
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (WIDTH,))},
    }
    return StubConfig(**fields | changes)


def stub_observation(batch: int) -> dict[str, Any]:
    """Rows carry their number in the state."""
    return {"observation.state": torch.arange(batch).float()[:, None].repeat(1, WIDTH)}
