"""What is done in each frame of a training dataset: its subtasks, looked up by a frame's global index.

LeRobot passes on a frame's `index` but no column of texts, so the texts are read once from the files:

    language_persistent                   LeRobot 0.6's annotations (lerobot-annotate): rows of style subtask
    subtask_index, meta/subtasks.parquet  a number per frame and a table of texts, as tasks have them

Legend: B batch, F frames of the dataset.
"""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from lerobot.datasets.language import LANGUAGE_PERSISTENT

from lerobot_plugins.conversion.source import SUBTASK_INDEX
from lerobot_plugins.errors import ZooError, first_names

logger = logging.getLogger(__name__)

SUBTASKS_PATH = "meta/subtasks.parquet"
_DO = (
    "give each frame its text: lerobot-plugins convert behavior1k ... --subtasks=skill, or LeRobot's "
    "lerobot-annotate; or pass --policy.subtask_prediction=false"
)
# Annotations hold times as float32.
_TIME_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Subtasks:
    """The subtask of every frame.

    Args:
        texts: The different ones.
        number_F: The number of each frame's text among them.
    """

    texts: tuple[str, ...]
    number_F: np.ndarray

    def of(self, index_B: np.ndarray) -> list[str]:
        """The texts of some frames; raises `ZooError` for a frame of another dataset."""
        if len(index_B) and (index_B.min() < 0 or index_B.max() >= len(self.number_F)):
            raise ZooError(
                "a frame has no subtask",
                got=f"index {index_B.min()} to {index_B.max()}",
                expected=f"0 to {len(self.number_F) - 1}",
                do="train on the dataset whose metadata LeRobot gave to the policy",
            )
        return [self.texts[number] for number in self.number_F[index_B]]


def training_subtasks(meta: Any) -> Subtasks:
    """The subtasks of a training dataset, read once per process.

    Raises:
        ZooError: See `read_subtasks`.
    """
    return _cached(Path(meta.root), tuple(sorted(meta.features)))


@lru_cache(maxsize=1)
def _cached(root: Path, features: tuple[str, ...]) -> Subtasks:
    subtasks = read_subtasks(root, features)
    logger.info("%d different subtasks in %d frames", len(subtasks.texts), len(subtasks.number_F))
    return subtasks


def read_subtasks(root: Path, features: tuple[str, ...]) -> Subtasks:
    """The subtask of every frame of a dataset on disk.

    Args:
        root: Its folder.
        features: Names of its columns.

    Raises:
        ZooError: The dataset has no subtasks or is not on disk, a frame's number is not in the table, or a
            text is empty or missing.
    """
    # lerobot-annotate replaces the numbers, and may leave them in meta/info.json.
    if LANGUAGE_PERSISTENT in features:
        table = _read(root, ["index", "episode_index", "timestamp", LANGUAGE_PERSISTENT])
        number, texts = _annotated(table)
    elif SUBTASK_INDEX in features:
        table = _read(root, ["index", SUBTASK_INDEX])
        number, texts = _numbered(root, table)
    else:
        raise ZooError(
            "the dataset has no subtasks to learn",
            got=f"columns {first_names(features)}",
            expected=f"{LANGUAGE_PERSISTENT}, or {SUBTASK_INDEX} with {SUBTASKS_PATH}",
            do=_DO,
        )
    index = table["index"].to_numpy()
    if not np.array_equal(np.sort(index), np.arange(len(index))):
        raise ZooError(
            f"the frames of {root} are not numbered from 0",
            got=f"{len(index)} frames with index {index.min(initial=0)} to {index.max(initial=0)}",
            expected="each number once",
            do="download the whole dataset, and pass its folder with --dataset.root",
        )
    number_F = np.empty(len(index), np.int64)
    number_F[index] = number
    empty = np.flatnonzero([not text.strip() for text in texts])
    wrong = np.flatnonzero((number_F < 0) | np.isin(number_F, empty))
    if len(wrong):
        raise ZooError(
            f"{len(wrong)} of {len(number_F)} frames have no subtask: their text is empty or missing",
            got=f"the first is frame {wrong[0]}",
            expected="a text for every frame, if only its task's: an empty one would teach to write nothing",
            do=_DO,
        )
    return Subtasks(tuple(texts), number_F)


def _read(root: Path, columns: list[str]) -> pa.Table:
    files = sorted((root / "data").rglob("*.parquet"))
    if not files:
        raise ZooError(
            f"subtasks are read from the columns of a dataset, and {root} has none",
            got="no parquet file in data/",
            expected="the whole dataset on disk; streaming is not enough",
            do="download it first: hf download USER/NAME --repo-type dataset --local-dir DIR, then pass "
            "--dataset.root=DIR",
        )
    try:
        return pa.concat_tables([pq.ParquetFile(file).read(columns=columns) for file in files])
    except (OSError, pa.ArrowException) as error:
        raise ZooError(
            f"the subtasks of {root} cannot be read: {error}", do="fetch the files again"
        ) from error


def read_subtask_texts(root: Path) -> dict[int, str]:
    """The texts of `meta/subtasks.parquet` by their numbers.

    Raises:
        ZooError: It is missing or malformed.
    """
    try:
        rows = pq.read_table(root / SUBTASKS_PATH).to_pylist()
        return {
            int(row[SUBTASK_INDEX]): str(row["subtask"] if "subtask" in row else row["__index_level_0__"])
            for row in rows
        }
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise ZooError(
            f"{root / SUBTASKS_PATH} cannot be read",
            got=" ".join(str(error).split()),
            expected=f"a table of {SUBTASK_INDEX} with the text as its index",
            do=_DO,
        ) from error


def _numbered(root: Path, table: pa.Table) -> tuple[np.ndarray, list[str]]:
    """Numbers and texts of `subtask_index`."""
    names = read_subtask_texts(root)
    number = table[SUBTASK_INDEX].to_numpy().astype(np.int64)
    unknown = sorted(set(np.unique(number).tolist()) - names.keys())
    if unknown:
        raise ZooError(
            f"{SUBTASK_INDEX} names subtasks that {SUBTASKS_PATH} does not have",
            got=f"{first_names(map(str, unknown))}",
            expected=f"some of {first_names(map(str, sorted(names)))}",
            do=_DO,
        )
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[n] for n in number.tolist()], np.int64), list(names.values())


def _annotated(table: pa.Table) -> tuple[np.ndarray, list[str]]:
    """Numbers and texts of LeRobot's annotations: a text counts from its time until the next one's; -1 before
    the first."""
    episode, time = table["episode_index"].to_numpy(), table["timestamp"].to_numpy()
    number = np.full(len(table), -1, np.int64)
    place: dict[str, int] = {}
    first: list[int] = []
    if len(episode):
        first = np.flatnonzero(np.r_[True, episode[1:] != episode[:-1]]).tolist()
    # Every frame of an episode holds all the annotations of the episode.
    for start, stop in zip(first, [*first[1:], len(episode)], strict=True):
        rows = [row for row in table[LANGUAGE_PERSISTENT][start].as_py() or [] if row["style"] == "subtask"]
        rows.sort(key=lambda row: row["timestamp"])
        active = (
            np.searchsorted([r["timestamp"] for r in rows], time[start:stop] + _TIME_TOLERANCE, "right") - 1
        )
        names = [place.setdefault(row["content"] or "", len(place)) for row in rows]
        number[start:stop] = np.array([*names, -1], np.int64)[active]
    return number, list(place)
