"""Exact statistics of a LeRobotDataset v3 on disk, without LeRobot, whose import costs seconds and memory.

One feature is read at a time, each dimension into one piece of memory; of a wide feature only as many
dimensions as fit.

T frames, D dimensions of a feature.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from lerobot_plugins.contracts.recognition import column_names
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.statistics.columns import matrix
from lerobot_plugins.statistics.described import Described, Stats
from lerobot_plugins.statistics.exact import QUANTILES, exact_statistics

_ROWS_AT_ONCE = 65536
_BYTES_AT_ONCE = 1_000_000_000
_NOT_NUMBERS = ("image", "video", "string", "language")
_AGAIN = "run `lerobot-plugins doctor --root={root}`, which says what is wrong with the files"


def dataset_statistics(
    root: Path,
    quantiles: Mapping[str, float] = QUANTILES,
    *,
    features: Sequence[str] | None = None,
    progress: bool = True,
    bytes_at_once: int = _BYTES_AT_ONCE,
) -> Described:
    """Statistics of every numeric feature over all frames.

    Args:
        root: The dataset's folder.
        quantiles: Name -> share of the frames.
        features: Only these.
        progress: Show a bar.
        bytes_at_once: Largest piece of a feature in memory.

    Raises:
        ZooError: No such dataset is there, its files contradict its info.json, or a number is not finite.
    """
    info = read_info(root)
    chosen = _chosen(info["features"], features, root)
    files = sorted((root / "data").rglob("*.parquet"))
    frames = sum(_rows(path) for path in files)
    if frames != info.get("total_frames") or not frames:
        raise ZooError(
            f"the data files of {root} do not hold all frames",
            got=f"{frames} in {len(files)} files",
            expected=f"{info.get('total_frames')}, as meta/info.json says",
            do=_AGAIN.format(root=root),
        )
    stats: Stats = {}
    values = frames * sum(_width(feature) for feature in chosen.values())
    with tqdm(
        total=values, desc="statistics", unit="value", unit_scale=True, leave=False, disable=not progress
    ) as bar:
        for key, feature in chosen.items():
            columns = _Columns(files, key, _width(feature), frames, bar.update)
            stats[key] = _feature_statistics(columns, feature, quantiles, bytes_at_once)
    return Described(
        stats,
        f"{root}, computed",
        names_of(info["features"]),
        episodes=info.get("total_episodes"),
        frames=frames,
    )


def read_info(root: Path) -> dict[str, Any]:
    """`meta/info.json` of a dataset of format v3.

    Raises:
        ZooError: There is none, or it is of another format.
    """
    path = root / "meta" / "info.json"
    try:
        info = json.loads(path.read_text())
        version, features = str(info["codebase_version"]), info["features"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ZooError(
            f"{root} holds no LeRobotDataset",
            got=f"{type(error).__name__}: {error}",
            expected="meta/info.json with codebase_version and features",
            do="pass the dataset's folder as --root, or download it first",
        ) from error
    if not version.startswith("v3") or not isinstance(features, dict):
        raise ZooError(
            f"{root} has another format",
            got=version,
            expected="v3.0",
            do="convert a copy: python -m lerobot.scripts.convert_dataset_v21_to_v30 "
            f"--repo-id=local/NAME --root={root} --push-to-hub=false",
        )
    return info


def names_of(features: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """What the dimensions of each vector are called, where names tell."""
    found = {key: column_names(feature) for key, feature in features.items()}
    return {key: names for key, names in found.items() if names}


def is_numeric(feature: Mapping[str, Any]) -> bool:
    """Whether a feature holds numbers, which pictures and texts are not."""
    return feature.get("dtype") not in _NOT_NUMBERS


def _chosen(
    features: Mapping[str, Mapping[str, Any]], wanted: Sequence[str] | None, root: Path
) -> dict[str, Mapping[str, Any]]:
    numeric = {key: feature for key, feature in features.items() if is_numeric(feature)}
    if unknown := set(wanted or ()) - numeric.keys():
        raise ZooError(
            f"{root} has no such numbers",
            got=first_names(unknown),
            expected=f"some of {', '.join(numeric)}",
            do="correct --features",
        )
    return {key: feature for key, feature in numeric.items() if wanted is None or key in wanted}


def _rows(path: Path) -> int:
    with reading(path):
        return int(pq.read_metadata(path).num_rows)


def _width(feature: Mapping[str, Any]) -> int:
    return int(np.prod(feature["shape"]))


def _feature_statistics(
    columns: "_Columns", feature: Mapping[str, Any], quantiles: Mapping[str, float], bytes_at_once: int
) -> dict[str, np.ndarray]:
    """All statistics of one feature, in the shape of one frame's value."""
    step = max(1, bytes_at_once // (np.dtype(feature["dtype"]).itemsize * columns.frames))
    parts = []
    for first in range(0, columns.width, step):
        values_DT = columns.read(slice(first, min(first + step, columns.width)))
        with np.errstate(invalid="ignore"):
            parts.append(exact_statistics(values_DT.T, quantiles))
        require_finite(values_DT, parts[-1], columns.key, column_names(feature) or [], first)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "count"}
    shape = tuple(feature["shape"]) or (1,)
    return {name: value.reshape(shape) for name, value in joined.items()} | {"count": parts[0]["count"]}


def require_finite(
    values_DT: np.ndarray, stats: Mapping[str, np.ndarray], key: str, names: Sequence[str], first: int = 0
) -> None:
    """Refuse statistics of numbers that are not finite.

    Args:
        values_DT: The numbers.
        stats: Their statistics; the mean tells.
        key: The feature, for messages.
        names: What its dimensions are called; may be empty.
        first: The place of the first of the dimensions in the feature.

    Raises:
        ZooError: With the first dimension and frame.
    """
    wrong = np.flatnonzero(~np.isfinite(stats["mean"].reshape(-1)))
    if not len(wrong):
        return
    dimension = int(wrong[0])
    frame = int(np.flatnonzero(~np.isfinite(values_DT[dimension]))[0])
    place = first + dimension
    raise ZooError(
        f"{key}, dimension {names[place] if place < len(names) else place}, is not finite",
        got=f"{values_DT[dimension, frame]} in frame {frame} of all",
        expected="finite numbers",
        do="repair these frames, or leave their episode out with lerobot-edit-dataset; `lerobot-plugins "
        "doctor` names all of them",
    )


class _Columns:
    """A feature in the data files.

    Args:
        files: The parquet files in order.
        key: The feature.
        width: Its number of dimensions.
        frames: The rows of all files.
        advance: Called with the number of values that were read.
    """

    def __init__(
        self, files: Sequence[Path], key: str, width: int, frames: int, advance: Callable[[int], object]
    ) -> None:
        self.key, self.width, self.frames = key, width, frames
        self._files, self._advance = files, advance

    def read(self, dims: slice) -> np.ndarray:
        """Some dimensions, (D, T), in the dtype of the files.

        Raises:
            ZooError: The column is absent, incomplete, or of another width.
        """
        values_DT: np.ndarray | None = None
        filled = 0
        for path in self._files:
            for rows in self._batches(path):
                batch_TD = matrix(rows)
                if rows.null_count or batch_TD.shape[1] != self.width:
                    raise self._unfit(
                        path, f"{batch_TD.shape[1]} numbers, {rows.null_count} frames without any"
                    )
                if values_DT is None:
                    values_DT = np.empty((dims.stop - dims.start, self.frames), batch_TD.dtype)
                values_DT[:, filled : filled + len(rows)] = batch_TD[:, dims].T
                filled += len(rows)
                self._advance(values_DT.shape[0] * len(rows))
        assert values_DT is not None, "rows were counted before"
        assert filled == self.frames, "the files changed while they were read"
        return values_DT

    def _batches(self, path: Path) -> Iterator[pa.Array]:
        with reading(path):
            file = pq.ParquetFile(path)
            if self.key not in file.schema_arrow.names:
                raise self._unfit(path, "no such column")
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[self.key]):
                if len(batch):
                    yield batch.column(0)

    def _unfit(self, path: Path, got: str) -> ZooError:
        return ZooError(
            f"{self.key} in {path.name} is not what meta/info.json says",
            got=got,
            expected=f"{self.width} numbers in every frame",
            do="run `lerobot-plugins doctor` on the dataset",
        )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tell of a parquet file that cannot be read as a `ZooError`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ZooError(
            f"{path} cannot be read",
            got=str(error).splitlines()[0],
            expected="a complete parquet file",
            do="convert or download the dataset again",
        ) from error
