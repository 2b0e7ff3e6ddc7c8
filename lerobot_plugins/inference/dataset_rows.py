"""A chunk for every frame of recorded episodes, beside the recorded actions: CSV and Parquet.

One row per frame, sample and step of the chunk, so frames x samples x H rows. What is sampled depends on
seed, episode, frame and sample alone, never on the order of work. A log tells how it was made and how long
predictions took.

Legend: H steps of a chunk, A action dimensions.
"""

import hashlib
import importlib.metadata
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from lerobot.datasets.factory import resolve_delta_timestamps
from lerobot.datasets.lerobot_dataset import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.utils.constants import ACTION
from tqdm import trange

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation.episodes import load_run
from lerobot_plugins.evaluation.files import write_atomically
from lerobot_plugins.evaluation.predictions import KINDS, column_names, columns
from lerobot_plugins.evaluation.scores import ActionRange
from lerobot_plugins.inference.names import action_names
from lerobot_plugins.inference.predictor import Predictor
from lerobot_plugins.runs.replay import ReplaySource

NAME = "chunks"


def write_predictions(
    policy: Path,
    source: ReplaySource,
    folder: Path,
    samples: int = 1,
    seed: int = 0,
    device: str | None = None,
) -> int:
    """Write `chunks.csv`, `chunks.parquet` and `chunks_log.txt`; returns the number of rows.

    Args:
        policy: A policy folder.
        source: The episodes.
        folder: Where to write: the policy's evaluation on this dataset, whose range normalises.
        samples: Chunks per frame.
        seed: Of what is sampled.
        device: Where to compute; None is the policy's own.

    Raises:
        ZooError: The policy predicts actions of another width, or the folder holds no evaluation.
    """
    action_range = load_run(folder).action_range
    predictor = Predictor(policy, device)
    meta = LeRobotDatasetMetadata(source.repo_id, root=source.root)
    dataset = LeRobotDataset(
        source.repo_id,
        root=source.root,
        episodes=sorted(source.episodes),
        delta_timestamps=resolve_delta_timestamps(predictor.config, meta),
        video_backend="pyav",
    )
    width = meta.features[ACTION]["shape"][0]
    names = action_names(policy, predictor.config, width, source.root)
    schema = _schema(names)
    paths = {ending: folder / f".{NAME}.{ending}.tmp" for ending in ("csv", "parquet")}
    written, seconds = 0, []
    with (
        pyarrow.csv.CSVWriter(paths["csv"], schema) as csv_file,
        pyarrow.parquet.ParquetWriter(paths["parquet"], schema) as parquet_file,
    ):
        for position in trange(len(dataset), unit="frame"):
            item = dataset[position]
            tables = []
            for sample in range(samples):
                begin = time.perf_counter()
                chunk_HA = _predict(predictor, item, seed, sample)
                seconds.append(time.perf_counter() - begin)
                tables.append(_table(item, source.repo_id, sample, chunk_HA, names, action_range, schema))
            table = pa.concat_tables(tables)
            csv_file.write_table(table)
            parquet_file.write_table(table)
            written += len(table)
    for ending, path in paths.items():
        os.replace(path, folder / f"{NAME}.{ending}")
    write_atomically(folder / f"{NAME}_log.txt", _log(predictor, source, samples, seed, seconds))
    return written


def _predict(predictor: Predictor, item: dict[str, Any], seed: int, sample: int) -> np.ndarray:
    place = int(item["episode_index"]), int(item["frame_index"])
    observed = [key for key in item if key.startswith("observation.")]
    observation = {key: item[key][None] for key in observed} | {"task": [item["task"]]}
    return predictor.predict(observation, _seed(seed, *place, sample))


def _table(
    item: dict[str, Any],
    repo_id: str,
    sample: int,
    chunk_HA: np.ndarray,
    names: list[str],
    action_range: ActionRange,
    schema: pa.Schema,
) -> pa.Table:
    """H rows: where the chunk was predicted, and `columns` of every step, null where there is no number."""
    if chunk_HA.shape[1] != len(names):
        raise ZooError(
            "the policy's actions are not the dataset's",
            got=f"{chunk_HA.shape[1]} dimensions",
            expected=f"{len(names)}: {', '.join(names)}",
        )
    horizon = len(chunk_HA)
    found_HA = np.atleast_2d(item[ACTION].numpy())[:horizon]
    recorded_HA = np.full(chunk_HA.shape, np.nan)
    recorded_HA[: len(found_HA)] = found_HA
    # Behind the episode's end the loader repeats its last action.
    padded_H = np.ones(horizon, bool)
    padded_H[: len(found_HA)] = item.get(f"{ACTION}_is_pad", np.zeros(horizon, bool))[: len(found_HA)]
    place = {
        "dataset": repo_id,
        "episode_index": int(item["episode_index"]),
        "frame_index": int(item["frame_index"]),
        "timestamp": float(item["timestamp"]),
        "task": item["task"],
        "sample": sample,
    }
    arrays: list[Any] = [[value] * horizon for value in place.values()]
    arrays += [np.arange(horizon), padded_H]
    values_HK = columns(recorded_HA, chunk_HA, action_range)
    kept = [pa.array(values_H, from_pandas=True) for values_H in values_HK.T]
    return pa.table(
        [pa.array(values).cast(field.type) for values, field in zip([*arrays, *kept], schema, strict=True)],
        schema=schema,
    )


def _log(predictor: Predictor, source: ReplaySource, samples: int, seed: int, seconds: list[float]) -> str:
    versions = (f"{name} {importlib.metadata.version(name)}" for name in ("lerobot", "torch", "numpy"))
    lines = [
        f"policy: {predictor.folder} ({predictor.config.type}) on {predictor.config.device}",
        f"versions: {', '.join(versions)}",
        f"dataset: {source.repo_id} in {source.root}, episodes {', '.join(map(str, source.episodes))}",
        f"samples: {samples} per frame, seed {seed}",
    ]
    if seconds:
        middle, late = np.percentile(seconds, (50, 95)) * 1000
        lines.append(f"time of a prediction: median {middle:.1f} ms, 95 % within {late:.1f} ms")
    return "\n".join(lines) + "\n"


def _schema(names: list[str]) -> pa.Schema:
    fields = [("dataset", pa.string()), ("episode_index", pa.int64()), ("frame_index", pa.int64())]
    fields += [("timestamp", pa.float64()), ("task", pa.string()), ("sample", pa.int64())]
    fields += [("horizon_step", pa.int64()), ("is_pad", pa.bool_())]
    types = [pa.int16() if kind.endswith("bin") else pa.float32() for kind in KINDS for _ in names]
    fields += zip(column_names(names), types, strict=True)
    return pa.schema(fields)


def _seed(*numbers: int) -> int:
    """A seed of 31 bits for this place, whatever came before."""
    digest = hashlib.sha256(" ".join(map(str, numbers)).encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
