"""Exact normalisation of state and action, owned by the checkpoint.

Modes, per dimension (q01 and q99 are quantiles of the whole training set):

    min_max    2 (x - min) / (max - min) - 1
    quantile   2 (x - q01) / (q99 - q01 + 1e-6) - 1          openpi's formula and constant
    mean_std   (x - mean) / (std + 1e-6)                     openpi's formula and constant

A dimension that never changed in the training set normalises to 0 and comes back as its one value; dividing
by its range would turn a deviation of 0.001 into 199,984. A dimension whose quantiles coincide although it
does change (a gripper that is closed in 99 % of the frames) uses its minimum and maximum.
"""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.lerobot_types import EnvTransition, TransitionKey
from lerobot.processor import ProcessorStep, ProcessorStepRegistry
from lerobot.utils.constants import ACTION
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.processing import runtime
from lerobot_plugins.statistics.hashing import statistics_hash

logger = logging.getLogger(__name__)

CONSTANT_TOLERANCE = 1e-6  # relative to the largest magnitude of the dimension, at least 1
OPENPI_EPSILON = 1e-6

Stats = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Affine:
    """Per-dimension map x -> (x - offset) * gain; a gain of 0 marks a constant dimension."""

    offset: Tensor
    gain: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Raw to normalised, in float32."""
        return (x.float() - self.offset.to(x.device)) * self.gain.to(x.device)

    def inverse(self, x: Tensor) -> Tensor:
        """Normalised to raw, in float32; a constant dimension becomes its constant."""
        gain = self.gain.to(x.device)
        span = torch.where(gain == 0, 0.0, 1.0 / torch.where(gain == 0, 1.0, gain))
        return x.float() * span + self.offset.to(x.device)


def affine_of(mode: str, stats: dict[str, np.ndarray], name: str) -> Affine:
    """The map of one feature.

    Args:
        mode: `min_max`, `quantile`, `mean_std` or `identity`.
        stats: LeRobot statistics of the feature: min, max, mean, std, q01, q99, each (D,).
        name: For messages.

    Raises:
        ZooError: The statistics lack what the mode needs, or are not finite.
    """
    needs = {"min_max": (), "quantile": ("q01", "q99"), "mean_std": ("mean", "std"), "identity": ()}[mode]
    value: dict[str, np.ndarray] = {}
    for key in ("min", "max", *needs):
        if key not in stats:
            raise ZooError(
                f"the statistics of {name} have no {key}, which {mode} normalisation needs",
                got=", ".join(sorted(stats)),
                expected=key,
                do="convert the dataset again with `lerobot-plugins convert`, which writes exact statistics",
            )
        value[key] = np.atleast_1d(np.asarray(stats[key], dtype=np.float64)).ravel()
        if not np.isfinite(value[key]).all():
            raise ZooError(f"the statistics of {name} are not finite", got=f"{key}={value[key]}")
    low: np.ndarray = value["min"]
    high: np.ndarray = value["max"]
    constant = high - low <= CONSTANT_TOLERANCE * np.maximum(1.0, np.abs(high))
    offset: np.ndarray
    gain: np.ndarray
    if mode == "identity":
        offset, gain = np.zeros_like(low), np.ones_like(low)
    elif mode == "mean_std":
        offset, gain = value["mean"], np.where(constant, 0.0, 1.0 / (value["std"] + OPENPI_EPSILON))
        offset = np.where(constant, low, offset)
    else:
        if mode == "quantile":
            q01, q99 = value["q01"], value["q99"]
            coincide = (q99 - q01 <= CONSTANT_TOLERANCE * np.maximum(1.0, np.abs(q99))) & ~constant
            if coincide.any():
                logger.warning(
                    "%s: q01 equals q99 in dimensions %s, which do change: they use min and max instead",
                    name,
                    np.flatnonzero(coincide).tolist(),
                )
            low = np.where(coincide, low, q01)
            high = np.where(coincide, high, q99 + OPENPI_EPSILON)
        span = np.where(constant, 1.0, high - low)
        # 2 (x - low) / span - 1, written with the middle as the offset.
        offset = np.where(constant, value["min"], low + span / 2)
        gain = np.where(constant, 0.0, 2.0 / span)
    return Affine(torch.tensor(offset, dtype=torch.float32), torch.tensor(gain, dtype=torch.float32))


@dataclass
class ExactNormalization(ProcessorStep):
    """Shared by both directions: whose statistics, which modes, how they are stored.

    Args:
        modes: Feature key to mode.
        stats: LeRobot statistics; None until a checkpoint's state is loaded.
        dataset: Where the statistics come from, for the reader of the checkpoint.
        stats_hash: Hash of those statistics.
    """

    modes: dict[str, str] = field(default_factory=dict)
    stats: Stats | None = None
    dataset: str | None = None
    stats_hash: str | None = None

    def __post_init__(self) -> None:
        self._maps: dict[str, Affine] = {}
        if self.stats:
            self._use(self.stats)

    def _use(self, stats: Stats) -> None:
        missing = [key for key in self.modes if key not in stats]
        if missing:
            raise ZooError(
                "there are no statistics for features that must be normalised",
                got=f"statistics of {', '.join(sorted(stats))}",
                expected=", ".join(missing),
                do="set --policy.stats_source to a source that has them",
            )
        self.stats = {key: stats[key] for key in self.modes}
        self.stats_hash = statistics_hash(self.stats)
        self._maps = {key: affine_of(mode, self.stats[key], key) for key, mode in self.modes.items()}

    def map_of(self, key: str, width: int) -> Affine:
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
        affine = self._maps[key]
        if len(affine.offset) != width:
            raise ZooError(
                f"the width of {key} does not fit its statistics",
                got=f"{width} dimensions",
                expected=f"{len(affine.offset)}, as in {self.dataset or 'the training dataset'}",
                do="check that dataset, robot or environment match the checkpoint",
            )
        return affine

    def get_config(self) -> dict[str, Any]:
        return {"modes": self.modes, "dataset": self.dataset, "stats_hash": self.stats_hash}

    def state_dict(self) -> dict[str, Tensor]:
        return {
            f"{key}.{name}": torch.as_tensor(np.asarray(value))
            for key, stats in (self.stats or {}).items()
            for name, value in stats.items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the checkpoint's statistics, unless a new run asks for its own dataset's."""
        stored: Stats = {}
        for flat, tensor in state.items():
            key, name = flat.rsplit(".", 1)
            stored.setdefault(key, {})[name] = tensor.numpy()
        run = runtime.training_run()
        if run is not None:
            self.modes = modes_of(run.config, self.modes)
        if run is None or run.resumed or run.config.stats_source == "checkpoint":
            self._use(stored)
            return
        before = statistics_hash({key: stored[key] for key in self.modes if key in stored})
        self._use(chosen_statistics(run.config, run.meta.stats))
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


def modes_of(config: Any, keys: Any) -> dict[str, str]:
    """The mode of each feature key, as the policy's configuration says."""
    return {key: config.action_normalization if key == ACTION else config.state_normalization for key in keys}


def chosen_statistics(config: Any, dataset_stats: Stats | None) -> Stats:
    """The statistics a fresh run normalises with.

    Raises:
        ZooError: The chosen source has none.
    """
    if config.stats_source == "file":
        return read_statistics(Path(config.stats_path))
    if config.stats_source == "checkpoint":
        raise ZooError(
            "stats_source=checkpoint needs a checkpoint to inherit statistics from",
            got="a policy that is trained from scratch",
            expected="--policy.path=CHECKPOINT",
            do="pass --policy.path, or --policy.stats_source=dataset",
        )
    if not dataset_stats:
        raise ZooError(
            "the training dataset has no statistics, and training without normalisation is refused",
            expected="meta/stats.json in the dataset",
            do="convert the dataset again with `lerobot-plugins convert`",
        )
    return dataset_stats


def origin_of(run: runtime.TrainingRun) -> str:
    """Where a fresh run's statistics come from, for the reader of the checkpoint."""
    return run.config.stats_path if run.config.stats_source == "file" else run.meta.repo_id


def read_statistics(path: Path) -> Stats:
    """Read a LeRobot `stats.json`.

    Raises:
        ZooError: The file is missing or is no such file.
    """
    try:
        raw = json.loads(path.read_text())
        return {key: {name: np.asarray(v, float) for name, v in stats.items()} for key, stats in raw.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ZooError(
            f"cannot read statistics from {path}",
            got=f"{type(error).__name__}: {error}",
            expected="a LeRobot stats.json: feature -> statistic -> numbers",
            do="set --policy.stats_path to the meta/stats.json of a dataset",
        ) from error


def make_exact_steps(
    config: Any, state_keys: list[str], dataset_stats: Stats | None
) -> tuple[ExactNormalizerStep, ExactUnnormalizerStep]:
    """Both steps of a fresh policy.

    Without a training run (LeRobot builds an untrained policy for an environment) the steps hold no
    statistics and raise when they are used.
    """
    run = runtime.training_run()
    stats = chosen_statistics(config, dataset_stats) if run is not None or dataset_stats else None
    dataset = origin_of(run) if run is not None else None
    return (
        ExactNormalizerStep(modes=modes_of(config, [*state_keys, ACTION]), stats=stats, dataset=dataset),
        ExactUnnormalizerStep(modes=modes_of(config, [ACTION]), stats=stats, dataset=dataset),
    )
