"""The maps between raw and normalised units, per dimension.

Modes (q01 and q99 are quantiles of the whole training set):

    min_max    2 (x - min) / (max - min) - 1
    quantile   2 (x - q01) / (q99 - q01 + 1e-6) - 1          openpi's formula and constant
    mean_std   (x - mean) / (std + 1e-6)                     openpi's formula and constant

A dimension that never changed in the training set normalises to 0 and comes back as its one value; dividing
by its range would turn a deviation of 0.001 into 199,984. A dimension whose quantiles coincide although it
does change (a gripper that is closed in 99 % of the frames) uses its minimum and maximum. openpi's statistics
have neither: there it counts as constant, and the log says so.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.remarks import CONSTANT_TOLERANCE, NARROW

logger = logging.getLogger(__name__)

OPENPI_EPSILON = 1e-6

RESTAT = "write exact statistics into the dataset: lerobot-plugins stats --root=... --in-place"
EXTREMES = ("min", "max")
NEEDS = {"min_max": EXTREMES, "quantile": ("q01", "q99"), "mean_std": ("mean", "std"), "identity": EXTREMES}


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
        stats: LeRobot statistics of the feature: min, max, mean, std, q01, q99, each (D,); min and max may be
            absent where the mode does not use them, as in openpi's files.
        name: For messages.

    Raises:
        ZooError: The statistics lack what the mode needs, are not finite, or contradict themselves (a maximum
            below the minimum, a negative deviation).
    """
    extremes = tuple(key for key in EXTREMES if key in stats)
    value: dict[str, np.ndarray] = {}
    for key in (*NEEDS[mode], *extremes):
        if key not in stats:
            raise ZooError(
                f"the statistics of {name} have no {key}, which {mode} normalisation needs",
                got=", ".join(sorted(stats)),
                expected=key,
                do=RESTAT,
            )
        value[key] = np.atleast_1d(np.asarray(stats[key], dtype=np.float64)).ravel()
        if not np.isfinite(value[key]).all():
            raise ZooError(
                f"the statistics of {name} are not finite",
                got=f"{key}={value[key]}",
                expected="finite numbers",
                do=RESTAT,
            )
    _require_ordered(value, name)
    least, greatest = _range(mode, value)
    low, high = least, greatest
    constant = high - low <= CONSTANT_TOLERANCE * np.maximum(1.0, np.abs(high))
    if mode == "quantile" and not set(EXTREMES) <= value.keys():
        constant = _without_scale(value, stats, name)
    offset: np.ndarray
    gain: np.ndarray
    if mode == "identity":
        offset, gain = np.zeros_like(low), np.ones_like(low)
    elif mode == "mean_std":
        offset, gain = value["mean"], np.where(constant, 0.0, 1.0 / (value["std"] + OPENPI_EPSILON))
        offset = np.where(constant, least, offset)
    else:
        if mode == "quantile":
            q01, q99 = value["q01"], value["q99"]
            coincide = (q99 - q01 <= NARROW) & (high - low > NARROW) & ~constant
            if coincide.any():
                logger.warning(
                    "%s: q01 and q99 coincide in dimensions %s, which change: they use min and max instead",
                    name,
                    np.flatnonzero(coincide).tolist(),
                )
            low = np.where(coincide, low, q01)
            high = np.where(coincide, high, q99 + OPENPI_EPSILON)
        span = np.where(constant, 1.0, high - low)
        # 2 (x - low) / span - 1, written with the middle as the offset.
        offset = np.where(constant, least, low + span / 2)
        gain = np.where(constant, 0.0, 2.0 / span)
    return Affine(torch.tensor(offset, dtype=torch.float32), torch.tensor(gain, dtype=torch.float32))


def _without_scale(value: dict[str, np.ndarray], stats: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Dimensions whose quantiles coincide, where neither minimum nor maximum can stand in for them."""
    constant = value["q99"] - value["q01"] <= NARROW
    deviation = np.asarray(stats.get("std", np.zeros_like(value["q01"])), dtype=np.float64).ravel()
    moving = constant & (deviation > NARROW)
    if moving.any():
        logger.warning(
            "%s: q01 and q99 coincide in dimensions %s although they change (std %s), and there is no "
            "minimum and maximum to use instead: they count as constant and will not move; "
            "--policy.stats_source=dataset has what they need",
            name,
            np.flatnonzero(moving).tolist(),
            np.round(deviation[moving], 4).tolist(),
        )
    return constant


def _require_ordered(value: dict[str, np.ndarray], name: str) -> None:
    for low, high in (("min", "max"), ("q01", "q99"), ("zero", "std")):
        if high not in value or (low not in value and low != "zero"):
            continue
        low_D = value.get(low, np.zeros_like(value[high]))
        wrong = np.flatnonzero(value[high] < low_D)
        if wrong.size:
            d = wrong[0]
            raise ZooError(
                f"the statistics of {name} contradict themselves in dimension {d}",
                got=f"{high} {value[high][d]:g} below {low} {low_D[d]:g}",
                expected=f"{high} at least {low}",
                do=RESTAT,
            )


def _range(mode: str, value: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest value; openpi's files have neither, and there a spread of zero says `constant`."""
    if set(EXTREMES) <= value.keys():
        return value["min"], value["max"]
    if mode == "quantile":
        return value["q01"], value["q99"]
    return value["mean"] - value["std"], value["mean"] + value["std"]
