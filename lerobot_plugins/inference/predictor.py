"""A policy folder that predicts chunks of raw actions, one observation at a time, the same for the same seed.

Legend: H steps of a chunk, A action dimensions.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.utils.random_utils import set_seed

from lerobot_plugins import registry
from lerobot_plugins.checkpoints.policy_folder import read_config, require_plain
from lerobot_plugins.evaluation import trace


class Predictor:
    """A policy with its processors.

    Args:
        folder: A policy folder.
        device: Where to compute; None is the policy's own.

    Raises:
        ZooError: The folder is no whole policy.
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        registry.load_host_plugins()
        self.folder = folder
        self.config = read_config(folder)
        require_plain(folder)
        self.config.pretrained_path = folder
        if device is not None:
            self.config.device = device
        policy_class = get_policy_class(self.config.type)
        self.policy: Any = policy_class.from_pretrained(folder, config=self.config)
        self.policy.to(self.config.device).eval()
        self.preprocessor, self.postprocessor = make_pre_post_processors(
            self.config,
            pretrained_path=str(folder),
            preprocessor_overrides={"device_processor": {"device": str(self.config.device)}},
        )

    def predict(self, observation: dict[str, Any], seed: int = 0) -> np.ndarray:
        """The chunk for one observation, as at the beginning of an episode.

        Args:
            observation: As LeRobot's loader gives it, with a batch of one: pictures (1, [T,] 3, h, w) in
                [0, 1], state (1, [T,] S), `task` a list of one text.
            seed: Of what is sampled.

        Returns:
            (H, A) float32 raw actions, as far as they mean something: a policy that plans says how far.
        """
        set_seed(seed)
        if hasattr(self.config, "eval_seed"):  # this project's policies draw from it, not from torch
            self.policy.config.eval_seed = seed
        self.policy.reset()
        batch = self.preprocessor(observation)
        trace.start()
        try:
            with torch.inference_mode():
                if not self._stacked and not getattr(self.policy, "rtc_enabled", False):
                    self.postprocessor(self.policy.select_action(batch))
                    if (published_HA := trace.take(0)) is not None:
                        return published_HA
                    self.policy.reset()
                    set_seed(seed)
                chunk_1HA = self.postprocessor(self.policy.predict_action_chunk(batch))
        finally:
            trace.stop()
        return chunk_1HA[0].float().cpu().numpy()

    @property
    def _stacked(self) -> bool:
        """Whether observations have a time dimension."""
        return self.config.observation_delta_indices is not None
