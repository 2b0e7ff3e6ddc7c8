"""A chunk for every frame of recorded episodes, beside the recorded actions: CSV and Parquet.

One row per frame, sample and step of the chunk, so frames x samples x H rows. What is sampled depends on
seed, episode, frame and sample alone, never on the order of work.

Legend: H steps of a chunk, A action dimensions.
"""

import hashlib
import os
from collections.abc import Iterator
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
    """Write `chunks.csv` and `chunks.parquet`; returns the number of rows.

    Args:
        policy: A policy folder.
        source: The episodes.
        folder: Where to write.
        samples: Chunks per frame.
        seed: Of what is sampled.
        device: Where to compute; None is the policy's own.

    Raises:
        ZooError: The policy predicts actions of another width.
    """
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
    written = 0
    with (
        pyarrow.csv.CSVWriter(paths["csv"], schema) as csv_file,
        pyarrow.parquet.ParquetWriter(paths["parquet"], schema) as parquet_file,
    ):
        for position in trange(len(dataset), unit="frame"):
            rows = list(_rows(predictor, dataset[position], source.repo_id, names, samples, seed))
            table = pa.Table.from_pylist(rows, schema=schema)
            csv_file.write_table(table)
            parquet_file.write_table(table)
            written += len(rows)
    for ending, path in paths.items():
        os.replace(path, folder / f"{NAME}.{ending}")
    return written


def _rows(
    predictor: Predictor, item: dict[str, Any], repo_id: str, names: list[str], samples: int, seed: int
) -> Iterator[dict[str, Any]]:
    episode, frame = int(item["episode_index"]), int(item["frame_index"])
    observed = [key for key in item if key.startswith("observation.")]
    observation = {key: item[key][None] for key in observed} | {"task": [item["task"]]}
    recorded_HA = np.atleast_2d(item[ACTION].numpy())
    pad_H = item.get(f"{ACTION}_is_pad", np.zeros(len(recorded_HA), bool))
    for sample in range(samples):
        chunk_HA = predictor.predict(observation, _seed(seed, episode, frame, sample))
        if chunk_HA.shape[1] != len(names):
            raise ZooError(
                "the policy's actions are not the dataset's",
                got=f"{chunk_HA.shape[1]} dimensions",
                expected=f"{len(names)}: {', '.join(names)}",
            )
        for step, predicted_A in enumerate(chunk_HA):
            known = step < len(recorded_HA)
            row = {
                "dataset": repo_id,
                "episode_index": episode,
                "frame_index": frame,
                "timestamp": float(item["timestamp"]),
                "task": item["task"],
                "sample": sample,
                "horizon_step": step,
                # Behind the episode's end the loader repeats its last action.
                "is_pad": not known or bool(pad_H[step]),
            }
            for dimension, name in enumerate(names):
                row[f"gt_{name}"] = float(recorded_HA[step, dimension]) if known else None
                row[f"pred_{name}"] = float(predicted_A[dimension])
            yield row


def _schema(names: list[str]) -> pa.Schema:
    fields = [("dataset", pa.string()), ("episode_index", pa.int64()), ("frame_index", pa.int64())]
    fields += [("timestamp", pa.float64()), ("task", pa.string()), ("sample", pa.int64())]
    fields += [("horizon_step", pa.int64()), ("is_pad", pa.bool_())]
    for name in names:
        fields += [(f"gt_{name}", pa.float32()), (f"pred_{name}", pa.float32())]
    return pa.schema(fields)


def _seed(*numbers: int) -> int:
    """A seed of 31 bits for this place, whatever came before."""
    digest = hashlib.sha256(" ".join(map(str, numbers)).encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
