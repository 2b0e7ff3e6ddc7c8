"""Small LeRobotDatasets v3 with numbers only: random walks with gripper flips, in files of three episodes."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_plugins.waypoints.rule import PRESETS
from lerobot_plugins.waypoints.table import EpisodeWaypoints, Waypoints

EPISODES_PER_FILE = 3


def write_walks(
    root: Path, lengths: tuple[int, ...] = (20, 31, 12, 25), seed: int = 0, scale: float = 0.01
) -> Path:
    """States (T, 8) that walk by `scale` a step; actions (T, 7) whose last column flips between -1 and 1."""
    generator = np.random.default_rng(seed)
    features = {
        "observation.state": {"dtype": "float32", "shape": [8], "names": [f"s{i}" for i in range(8)]},
        "action": {"dtype": "float32", "shape": [7], "names": None},
        "episode_index": {"dtype": "int64", "shape": [1], "names": None},
        "frame_index": {"dtype": "int64", "shape": [1], "names": None},
    }
    info = {"codebase_version": "v3.0", "fps": 20, "total_episodes": len(lengths), "features": features}
    (root / "meta").mkdir(parents=True)
    (root / "meta" / "info.json").write_text(json.dumps(info))
    for first in range(0, len(lengths), EPISODES_PER_FILE):
        tables = [
            _episode(generator, first + i, frames, scale)
            for i, frames in enumerate(lengths[first : first + EPISODES_PER_FILE])
        ]
        path = root / "data" / "chunk-000" / f"file-{first // EPISODES_PER_FILE:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.concat_tables(tables), path)
    return root


def _episode(generator: np.random.Generator, index: int, frames: int, scale: float) -> pa.Table:
    states = generator.normal(scale=scale, size=(frames, 8)).cumsum(axis=0).astype(np.float32)
    actions = generator.normal(size=(frames, 7)).astype(np.float32)
    actions[:, 6] = np.where(np.arange(frames) < frames // 2, -1, 1)
    return pa.table(
        {
            "observation.state": pa.FixedSizeListArray.from_arrays(states.ravel(), 8),
            "action": pa.FixedSizeListArray.from_arrays(actions.ravel(), 7),
            "episode_index": np.full(frames, index),
            "frame_index": np.arange(frames),
        }
    )


def table_of(*episodes: tuple[list[int], int]) -> Waypoints:
    """A table of episodes given by their waypoints and lengths."""
    rows = [EpisodeWaypoints(i, frames, indices) for i, (indices, frames) in enumerate(episodes)]
    return Waypoints(PRESETS["libero"], "0" * 64, "extracted", tuple(rows))
