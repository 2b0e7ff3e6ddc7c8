"""How much each frame of a dataset counts in the training loss: a table beside the dataset, by frame index.

    meta/loss_weights.json       {"episodes": [1.0, 2.5, ...]} or {"frames": [1.0, 1.0, 0.5, ...]}
    meta/loss_weights.parquet    columns `episode_index` or `index`, and `weight`; rows in any order

LeRobot passes a frame's global `index` on to the policy, so nothing is added to the dataset or the batch.

Legend: B batch, F frames of the dataset, E episodes.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor, as_tensor

from lerobot_plugins.errors import ZooError, first_names

logger = logging.getLogger(__name__)

_DO = "make the table again for this dataset, or pass --policy.loss_weights_path=null"


@dataclass(frozen=True)
class LossWeights:
    """Weights (F,) float32 of a dataset's frames, by their global index."""

    weight_F: np.ndarray

    @classmethod
    def of_run(cls, path: str | None, meta: Any) -> "LossWeights | None":
        """The weights of a training run; None where none are asked for, or nothing is trained.

        Args:
            path: The table.
            meta: Metadata of the training dataset; None without one.

        Raises:
            ZooError: See `read_loss_weights`.
        """
        if path is None or meta is None:
            return None
        lengths = np.asarray(meta.episodes["length"], dtype=np.int64)
        weights = cls(read_loss_weights(Path(path), lengths))
        values = weights.weight_F
        logger.info(
            "%s: %d frames weigh %.4g to %.4g, %.4g on average, %d of them nothing",
            *(path, len(values), values.min(), values.max(), values.mean(), (values == 0).sum()),
        )
        return weights

    def of(self, batch: dict[str, Any]) -> Tensor:
        """The weights (B,) of a batch's rows.

        Raises:
            ZooError: The batch has no `index`, or one of another dataset.
        """
        if not isinstance(batch.get("index"), Tensor):
            raise ZooError(
                "frames are weighed by their index, and the batch has none",
                got=f"keys {first_names(batch)}",
                expected="index, as LeRobot's loader and preprocessor pass it on",
                do="train with lerobot-train, or pass --policy.loss_weights_path=null",
            )
        index_B = batch["index"].reshape(-1)
        known = index_B.cpu().numpy()
        if known.min() < 0 or known.max() >= len(self.weight_F):
            raise ZooError(
                "a frame has no weight",
                got=f"index {known.min()} to {known.max()}",
                expected=f"0 to {len(self.weight_F) - 1}",
                do=_DO,
            )
        return as_tensor(self.weight_F[known], device=index_B.device)


def row_weights(weights: LossWeights | None, batch: dict[str, Any], error: Tensor) -> Tensor:
    """What the errors (B, ...) of a batch's rows are weighed with: 1, or their weights (B, 1, ...)."""
    if weights is None:
        return error.new_ones(1)
    return weights.of(batch).view(-1, *[1] * (error.ndim - 1))


def read_loss_weights(path: Path, length_E: np.ndarray) -> np.ndarray:
    """The weights (F,) float32 of a dataset's frames.

    Args:
        path: A `.json` or `.parquet` file.
        length_E: Frames of each episode of the dataset.

    Raises:
        ZooError: The file is absent or of another form; an episode or frame is missing, twice there or not
            of this dataset; a weight is negative or not finite, or all are 0.
    """
    kind, number_N, weight_N = _parquet(path) if path.suffix == ".parquet" else _json(path)
    count = len(length_E) if kind == "episode" else int(length_E.sum())
    times = np.bincount(number_N[(number_N >= 0) & (number_N < count)], minlength=count)
    wrong = {
        "not in the dataset": np.flatnonzero((number_N < 0) | (number_N >= count)),
        "missing": np.flatnonzero(times == 0),
        "there twice": np.flatnonzero(times > 1),
    }
    for said, places in wrong.items():
        if len(places):
            first = number_N[places[0]] if said == "not in the dataset" else places[0]
            raise ZooError(
                f"{path} does not fit the dataset: {len(places)} {kind}s are {said}",
                got=f"{len(number_N)} weights; the first {kind} that is {said} is {first}",
                expected=f"one for each of {count} {kind}s",
                do=_DO,
            )
    bad = np.flatnonzero(~(np.isfinite(weight_N) & (weight_N >= 0)))
    if len(bad):
        raise ZooError(
            f"{path} has {len(bad)} weights that are none",
            got=f"{weight_N[bad[0]]} for {kind} {number_N[bad[0]]}",
            expected="finite numbers from 0",
            do=_DO,
        )
    weight = np.empty(count, dtype=np.float32)
    weight[number_N] = weight_N
    if not weight.any():
        raise ZooError(f"{path} weighs nothing", got="only zeros", expected="a weight above 0", do=_DO)
    return np.repeat(weight, length_E) if kind == "episode" else weight


def _parquet(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """What is weighed (`episode` or `frame`), their numbers (N,), their weights (N,)."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    keys = {"episode_index": "episode", "index": "frame"}
    found = [key for key in keys if key in table.column_names]
    if len(found) != 1 or "weight" not in table.column_names:
        raise ZooError(
            f"{path} is no table of weights",
            got=f"columns {', '.join(table.column_names)}",
            expected="weight, and either index or episode_index",
        )
    number, weight = table[found[0]], table["weight"]
    if not pa.types.is_integer(number.type) or not _is_number(weight.type) or number.null_count:
        raise ZooError(
            f"{path} is no table of weights",
            got=f"{found[0]} of {number.type}, weight of {weight.type}, {number.null_count} rows without",
            expected="whole numbers and numbers",
        )
    # A weight that is not there becomes NaN, which is refused.
    weight_N = weight.cast(pa.float64()).to_numpy()
    return keys[found[0]], number.cast(pa.int64()).to_numpy(), weight_N


def _json(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    keys = {"episodes": "episode", "frames": "frame"}
    key = next(iter(content)) if isinstance(content, dict) and len(content) == 1 else None
    values = content[key] if key in keys else None
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise ZooError(
            f"{path} is no list of weights",
            got=", ".join(content) if isinstance(content, dict) else type(content).__name__,
            expected='{"episodes": [numbers]} or {"frames": [numbers]}',
        )
    return keys[str(key)], np.arange(len(values)), np.array(values, dtype=np.float64)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _unreadable(path: Path, error: Exception) -> ZooError:
    return ZooError(
        f"the loss weights at {path} cannot be read",
        got=" ".join(str(error).split()),
        expected="a .json or .parquet file; the paths of a run are those of its own machine",
        do=_DO,
    )
