"""Exact statistics of a large dataset: `lerobot-plugins stats` beside NumPy on the whole array and LeRobot.

The data are parquet files as LeRobot writes them, one row group for each episode, with one vector of joints
that wander and a gripper that is closed most of the time. Each way runs in a process of its own, reading
included, imports not; memory is the largest resident set of the process. NumPy gets the column as one array
in float64, quantiles by `np.quantile` along the frames. LeRobot's own is what `lerobot-edit-dataset
--operation.type=recompute_stats` runs. The last line is JSON.

    python benchmarks/exact_statistics.py [--frames 3790000] [--width 32]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

EPISODE_FRAMES = 1500
EPISODES_PER_FILE = 500
KEY = "observation.state"
QUANTILES = ("q01", "q10", "q50", "q90", "q99")


def main() -> None:
    """Write the data, run every way, compare what they find."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=3_790_000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--way", choices=WAYS, help="internal: run one way on --root")
    parser.add_argument("--root", type=Path, help="internal")
    arguments = parser.parse_args()
    if arguments.way:
        _run_here(arguments.way, arguments.root)
        return
    found: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "dataset"
        write(root, arguments.frames, arguments.width)
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--root", str(root)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[way] = json.loads(output.splitlines()[-1])
    exact = found["numpy"].pop("stats")
    for way, result in found.items():
        stats = result.pop("stats", exact)
        result["largest_error_of_range"] = _largest_error(stats, exact)
        print(
            f"{way:<13} {result['seconds']:7.1f} s  {result['peak_mb']:7.0f} MB  "
            f"quantiles off by at most {result['largest_error_of_range']:.2%} of the range"
        )
    if found["this project"]["largest_error_of_range"] != 0:
        raise SystemExit("the quantiles of this project are not NumPy's")
    content = {
        "benchmark": "exact_statistics",
        "frames": arguments.frames,
        "width": arguments.width,
        "ways": found,
    }
    print(json.dumps(content | {"ways": found}))


def write(root: Path, frames: int, width: int) -> None:
    """A dataset without cameras: info.json and parquet files, values of one feature and LeRobot's index."""
    generator = np.random.default_rng(0)
    schema = pa.schema([(KEY, pa.list_(pa.float32(), width)), ("episode_index", pa.int64())])
    episodes = -(-frames // EPISODE_FRAMES)
    data = root / "data" / "chunk-000"
    data.mkdir(parents=True)
    for first in range(0, episodes, EPISODES_PER_FILE):
        path = data / f"file-{first // EPISODES_PER_FILE:03d}.parquet"
        with pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=False) as writer:
            for episode in range(first, min(first + EPISODES_PER_FILE, episodes)):
                length = min(EPISODE_FRAMES, frames - episode * EPISODE_FRAMES)
                values_TD = generator.normal(size=(length, width)).astype(np.float32).cumsum(axis=0) / 40
                values_TD += generator.normal(size=width)
                values_TD[:, -1] = values_TD[:, -1] > 1.5
                flat = pa.array(values_TD.reshape(-1).astype(np.float32))
                column = pa.FixedSizeListArray.from_arrays(flat, width)
                index = pa.array(np.full(length, episode))
                writer.write_table(pa.Table.from_arrays([column, index], schema=schema))
    features = {
        KEY: {"dtype": "float32", "shape": [width], "names": [f"joint_{i}.pos" for i in range(width)]},
        "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    }
    info = {"codebase_version": "v3.0", "fps": 30, "features": features, "total_frames": frames}
    (root / "meta").mkdir()
    (root / "meta" / "info.json").write_text(json.dumps(info))


def ours(root: Path) -> dict[str, np.ndarray]:
    """What `lerobot-plugins stats --root=...` computes."""
    from lerobot_plugins.statistics.recorded import dataset_statistics

    return dataset_statistics(root, features=[KEY]).stats[KEY]


def whole_array(root: Path) -> dict[str, np.ndarray]:
    """NumPy on all frames at once."""
    files = sorted(str(path) for path in (root / "data").rglob("*.parquet"))
    column = pyarrow.dataset.dataset(files).to_table(columns=[KEY])[KEY].combine_chunks()
    values_TD = column.flatten().to_numpy().reshape(len(column), -1).astype(np.float64)
    quantiles = np.quantile(values_TD, [int(name[1:]) / 100 for name in QUANTILES], axis=0)
    return {
        "min": values_TD.min(axis=0),
        "max": values_TD.max(axis=0),
        "mean": values_TD.mean(axis=0),
        "std": values_TD.std(axis=0),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def lerobot(root: Path) -> dict[str, np.ndarray]:
    """LeRobot's recompute_stats, which writes into the dataset what it finds."""
    from lerobot.datasets.dataset_tools import recompute_stats

    features = json.loads((root / "meta" / "info.json").read_text())["features"]
    meta = SimpleNamespace(features=features, stats=None)
    recompute_stats(SimpleNamespace(root=root, meta=meta))
    return meta.stats[KEY]


WAYS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    "this project": ours,
    "numpy": whole_array,
    "lerobot": lerobot,
}
#: Imported before the clock starts.
IMPORTS = {
    "this project": "lerobot_plugins.statistics.recorded",
    "numpy": "numpy",
    "lerobot": "lerobot.datasets.dataset_tools",
}


def _run_here(way: str, root: Path) -> None:
    __import__(IMPORTS[way])
    started = time.perf_counter()
    stats = WAYS[way](root)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    listed = {name: np.asarray(value).tolist() for name, value in stats.items()}
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "stats": listed}))


def _largest_error(stats: dict[str, list[float]], exact: dict[str, list[float]]) -> float:
    span_D = np.subtract(exact["max"], exact["min"])
    return float(max((np.abs(np.subtract(stats[q], exact[q])) / span_D).max() for q in QUANTILES))


if __name__ == "__main__":
    main()
