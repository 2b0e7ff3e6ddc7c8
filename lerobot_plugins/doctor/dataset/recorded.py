"""A LeRobotDataset v3 on disk, read without LeRobot: a damaged one must still open.

T frames, D dimensions of a feature.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.columns import matrix

ROWS_AT_ONCE = 8192
UNREADABLE = (pa.ArrowException, OSError)


@dataclass(frozen=True)
class EpisodeData:
    """The numbers of one episode.

    Args:
        index: Its number in the data.
        columns: Feature -> (T, D), as recorded.
    """

    index: int
    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


@dataclass(frozen=True)
class Recorded:
    """The files of a dataset, and what its info.json says; made by `open`."""

    root: Path
    info: Mapping[str, Any]

    @classmethod
    def open(cls, root: Path) -> "Recorded":
        """Read info.json.

        Raises:
            ZooError: There is no dataset, or it has another format than v3.
        """
        path = root / "meta" / "info.json"
        if not path.is_file():
            raise ZooError(
                f"{root} holds no LeRobotDataset",
                got=f"no {path}",
                expected="a dataset in LeRobot's format v3",
                do="pass its folder as --root, or download it first",
            )
        try:
            info = json.loads(path.read_text())
        except ValueError as error:
            raise ZooError(f"{path} is no JSON", got=error, do="download the dataset again") from error
        version = info.get("codebase_version") if isinstance(info, dict) else None
        if not str(version).startswith("v3"):
            raise ZooError(
                f"{root} has another format",
                got=version,
                expected="v3.0",
                do="convert a copy: python -m lerobot.scripts.convert_dataset_v21_to_v30 "
                f"--repo-id=local/NAME --root={root} --push-to-hub=false",
            )
        fps = info.get("fps")
        if not isinstance(info.get("features"), dict) or not isinstance(fps, (int, float)) or fps <= 0:
            raise ZooError(f"{path} lacks features or fps", got=sorted(info), do="download the dataset again")
        return cls(root, info)

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        """Feature -> its entry in info.json."""
        return self.info["features"]

    @property
    def fps(self) -> float:
        """Frames per second."""
        return float(self.info["fps"])

    @cached_property
    def data_files(self) -> list[Path]:
        """The parquet files with the frames, in order."""
        return sorted((self.root / "data").rglob("*.parquet"))

    @cached_property
    def episodes(self) -> list[dict[str, Any]]:
        """The rows of meta/episodes, without statistics; files that cannot be read are passed over."""
        rows: list[dict[str, Any]] = []
        for path in sorted((self.root / "meta" / "episodes").rglob("*.parquet")):
            try:
                file = pq.ParquetFile(path)
                columns = [name for name in file.schema_arrow.names if not name.startswith("stats/")]
                rows += file.read(columns=columns).to_pylist()
            except UNREADABLE:
                continue
        return rows

    @cached_property
    def tasks(self) -> dict[int, str] | None:
        """task_index -> the instruction; None if the file is not there or cannot be read."""
        try:
            # pandas' index is a column of the file.
            rows = pq.read_table(self.root / "meta" / "tasks.parquet").to_pylist()
            return {
                int(row["task_index"]): str(row.get("task", row.get("__index_level_0__"))) for row in rows
            }
        except (*UNREADABLE, KeyError):
            return None

    @cached_property
    def statistics(self) -> dict[str, Any] | None:
        """meta/stats.json; None if it is not there or no JSON."""
        try:
            return json.loads((self.root / "meta" / "stats.json").read_text())
        except (OSError, ValueError):
            return None

    def stored(self) -> dict[str, pa.Field]:
        """Column -> its type in the first data file that can be read."""
        for path in self.data_files:
            try:
                return {field.name: field for field in pq.read_schema(path)}
            except UNREADABLE:
                continue
        return {}

    def list_width(self, key: str) -> int:
        """The length that all lists of a column have; -1 if they differ."""
        lengths: set[int] = set()
        for batch in self._batches([key]):
            found = pc.min_max(pc.list_value_length(batch[key]))
            lengths |= {found["min"].as_py(), found["max"].as_py()}
        return lengths.pop() if len(lengths) == 1 else -1

    def stream(self, keys: Sequence[str]) -> Iterator[EpisodeData]:
        """The episodes in the order of the files; each is a stretch of rows with one episode_index.

        Files that cannot be read are passed over.

        Args:
            keys: Features to read; each must be stored in the files as wide as its shape says.
        """
        parts: list[dict[str, np.ndarray]] = []
        current: int | None = None
        for batch in self._batches(["episode_index", *keys]):
            episode_T = batch["episode_index"].to_numpy(zero_copy_only=False)
            columns = {key: matrix(batch[key]) for key in keys}
            cuts = np.flatnonzero(np.diff(episode_T)) + 1
            for first, end in zip([0, *cuts], [*cuts, len(episode_T)], strict=True):
                if current is not None and current != episode_T[first]:
                    yield _joined(current, parts)
                    parts = []
                current = int(episode_T[first])
                parts.append({key: values[first:end] for key, values in columns.items()})
        if current is not None:
            yield _joined(current, parts)

    def sample(self, keys: Sequence[str]) -> dict[str, np.ndarray]:
        """The first frames of some features, each (T, D); empty if no file can be read."""
        batch = next(self._batches(list(keys)), None)
        return {} if batch is None else {key: matrix(batch[key]) for key in keys}

    def _batches(self, keys: list[str]) -> Iterator[pa.RecordBatch]:
        for path in self.data_files:
            try:
                for batch in pq.ParquetFile(path).iter_batches(
                    ROWS_AT_ONCE, columns=list(dict.fromkeys(keys))
                ):
                    if len(batch):
                        yield batch
            except UNREADABLE:
                continue


def _joined(index: int, parts: list[dict[str, np.ndarray]]) -> EpisodeData:
    return EpisodeData(index, {key: np.concatenate([part[key] for part in parts]) for key in parts[0]})
