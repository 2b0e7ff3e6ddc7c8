"""The processor steps that normalise state and action, with statistics that the checkpoint owns.

LeRobot overwrites the statistics of its own normaliser on --policy.path; these steps keep theirs unless a new
run asks for its own dataset's.
"""

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.processor import ProcessorStep, ProcessorStepRegistry
from lerobot.utils.constants import ACTION, OBS_STATE
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.affine import affine_of
from lerobot_plugins.processing.feature_map import FeatureMap
from lerobot_plugins.processing.grippers import GripperMap
from lerobot_plugins.processing.statistics_source import Stats, chosen_statistics, modes_of, origin_of
from lerobot_plugins.statistics.hashing import statistics_hash

logger = logging.getLogger(__name__)


@dataclass
class ExactNormalization(ProcessorStep):
    """Shared by both directions: whose statistics, which modes, how they are stored.

    Args:
        modes: Feature key to mode.
        grippers: Feature key to its grippers, which are not scaled; see `processing.grippers`.
        clip: Clip normalised values to [-1, 1].
        stats: LeRobot statistics; None until a checkpoint's state is loaded.
        dataset: Where the statistics come from, for the reader of the checkpoint.
        stats_hash: Hash of those statistics.
    """

    modes: dict[str, str] = field(default_factory=dict)
    grippers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    clip: bool = False
    stats: Stats | None = None
    dataset: str | None = None
    stats_hash: str | None = None

    def __post_init__(self) -> None:
        self._maps: dict[str, FeatureMap] = {}
        if self.stats:
            self._use(self.stats)

    def _use(self, stats: Stats) -> None:
        missing = [key for key in self.modes if key not in stats]
        if missing:
            raise ZooError(
                "there are no statistics for features that must be normalised",
                got=f"statistics of {', '.join(sorted(stats))} in {self.dataset or 'the dataset'}",
                expected=", ".join(missing),
                do="set --policy.stats_source to a source that has them",
            )
        self.stats = {key: stats[key] for key in self.modes}
        self.stats_hash = statistics_hash(self.stats)
        self._maps = {
            key: FeatureMap(affine_of(mode, self.stats[key], key), self._gripper_maps(key), self.clip)
            for key, mode in self.modes.items()
        }

    def _gripper_maps(self, key: str) -> tuple[GripperMap, ...]:
        return tuple(GripperMap.from_dict(gripper) for gripper in self.grippers.get(key, []))

    def map_of(self, key: str, width: int) -> FeatureMap:
        """The map of a feature, checked against the width of the data.

        Raises:
            ZooError: No statistics at all, or statistics of another width.
        """
        if key not in self._maps:
            raise ZooError(
                f"{key} cannot be normalised without statistics",
                got="a policy that was never trained on a dataset",
                expected="statistics of the training dataset, stored in the checkpoint",
                do="train with lerobot-train, or pass --policy.path with a trained checkpoint",
            )
        feature_map = self._maps[key]
        if feature_map.width != width:
            raise ZooError(
                f"the width of {key} does not fit its statistics",
                got=f"{width} dimensions",
                expected=f"{feature_map.width}, as in {self.dataset or 'the training dataset'}",
                do="check that dataset, robot or environment match the checkpoint; a dataset must also fit "
                "its own meta/stats.json",
            )
        return feature_map

    def get_config(self) -> dict[str, Any]:
        config = {"modes": self.modes, "dataset": self.dataset, "stats_hash": self.stats_hash}
        return config | {"grippers": self.grippers, "clip": self.clip}

    def state_dict(self) -> dict[str, Tensor]:
        return {
            f"{key}.{name}": torch.as_tensor(np.asarray(value))
            for key, stats in (self.stats or {}).items()
            for name, value in stats.items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the checkpoint's statistics, unless a new run asks for its own dataset's.

        Raises:
            ZooError: They are not those that the step's JSON was written with.
        """
        stored: Stats = {}
        for flat, tensor in state.items():
            key, name = flat.rsplit(".", 1)
            stored.setdefault(key, {})[name] = tensor.numpy()
        if self.stats_hash is not None and self.stats_hash != (found := statistics_hash(stored)):
            raise ZooError(
                "the statistics of a processor are not those it was saved with",
                got=found,
                expected=f"{self.stats_hash}, as its JSON says, of {self.dataset or 'the training dataset'}",
                do="copy or download the checkpoint again: a file is damaged or of another checkpoint",
            )
        run = runtime.training_run()
        if run is not None:
            self.modes = modes_of(run.config, self.modes)
            self.grippers = gripper_dicts(run.config, self.modes)
            self.clip = run.config.clip_normalized
        if run is None or run.resumed or run.config.stats_source == "checkpoint":
            self._use(stored)
            return
        before = statistics_hash({key: stored[key] for key in self.modes if key in stored})
        self._use(chosen_statistics(run.config, run.config.dataset_statistics(run.meta)))
        self.dataset = origin_of(run)
        if before != self.stats_hash:
            logger.warning(
                "normalising with the statistics of %s (%s) instead of the checkpoint's (%s); "
                "--policy.stats_source=checkpoint keeps the latter",
                self.dataset,
                str(self.stats_hash)[:12],
                before[:12],
            )

    def transform_features(self, features: Any) -> Any:
        return features


@dataclass
@ProcessorStepRegistry.register("zoo_exact_normalizer")
class ExactNormalizerStep(ExactNormalization):
    """Normalise observations and, in training, actions."""

    def __call__(self, transition: EnvTransition) -> EnvTransition:
        new = transition.copy()
        observation = dict(new.get(TransitionKey.OBSERVATION) or {})
        if OBS_STATE in self._maps:
            trace.publish_state_map(self._maps[OBS_STATE])
        for key in self.modes:
            if key in observation:
                value = torch.as_tensor(observation[key])
                observation[key] = self.map_of(key, value.shape[-1]).forward(value)
        new[TransitionKey.OBSERVATION] = observation
        action = new.get(TransitionKey.ACTION)
        if action is not None and ACTION in self.modes:
            new[TransitionKey.ACTION] = self.map_of(ACTION, action.shape[-1]).forward(action)
        return new


@dataclass
@ProcessorStepRegistry.register("zoo_exact_unnormalizer")
class ExactUnnormalizerStep(ExactNormalization):
    """Bring predicted actions back to raw units, and say how to whoever watches the predictions."""

    def __call__(self, transition: EnvTransition) -> EnvTransition:
        new = transition.copy()
        action = new.get(TransitionKey.ACTION)
        if action is not None:
            new[TransitionKey.ACTION] = self.decode(action)
            trace.publish_decoder(self.decode)
        return new

    def decode(self, action: Tensor) -> Tensor:
        """Normalised actions (..., A) to raw float32 ones."""
        return self.map_of(ACTION, action.shape[-1]).inverse(action)


def make_exact_steps(
    config: Any, state_keys: list[str], dataset_stats: Stats | None
) -> tuple[ExactNormalizerStep, ExactUnnormalizerStep]:
    """Both steps of a fresh policy.

    Without a training run (LeRobot builds an untrained policy for an environment) the steps hold no
    statistics and raise when they are used.
    """
    run = runtime.training_run()
    if run is not None and config.stats_source == "dataset":
        dataset_stats = config.dataset_statistics(run.meta)
    stats = chosen_statistics(config, dataset_stats) if run is not None or dataset_stats else None
    dataset = origin_of(run) if run is not None else None

    def fields(keys: list[str]) -> dict[str, Any]:
        return {
            "modes": modes_of(config, keys),
            "grippers": gripper_dicts(config, keys),
            "clip": config.clip_normalized,
            "stats": stats,
            "dataset": dataset,
        }

    return ExactNormalizerStep(**fields([*state_keys, ACTION])), ExactUnnormalizerStep(**fields([ACTION]))


def gripper_dicts(config: Any, keys: Any) -> dict[str, list[dict[str, Any]]]:
    """The grippers of some features, as a configuration describes them, for a step's JSON."""
    return {
        key: [gripper.to_dict() for gripper in config.gripper_maps[key]]
        for key in keys
        if config.gripper_maps.get(key)
    }
