"""How fast TFRecord shards are walked with both checksums verified, and parsed.

The floor is the checksum alone: google-crc32c over the same bytes in one piece. The file is read once before
anything is timed, so all figures are from the page cache. The last line is JSON.

    python benchmarks/tfrecord.py [--megabytes 512] [--episode-megabytes 6] [--repeat 5]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np

from lerobot_dataset_rlds.example import encode_example, parse_example
from lerobot_dataset_rlds.tfrecord import TFRecordShard, TFRecordWriter

IMAGE_BYTES = 20_000


def main() -> None:
    """Write a shard of episodes of random bytes, and time the ways through it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=512, help="size of the shard")
    parser.add_argument("--episode-megabytes", type=int, default=6, help="size of an episode")
    parser.add_argument("--repeat", type=int, default=5, help="runs, of which the best counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.tfrecord-00000-of-00001"
        _write(path, arguments.megabytes, arguments.episode_megabytes)
        content = np.fromfile(path, dtype=np.uint8)
        ways = {
            "checksum alone (floor)": lambda: google_crc32c.value(content),
            "walk, both checksums": lambda: [len(data) for data in TFRecordShard(path)],
            "walk and parse": lambda: [parse_example(data) for data in TFRecordShard(path)],
        }
        rates = {name: len(content) / _best(way, arguments.repeat) / 1e9 for name, way in ways.items()}
    floor = rates["checksum alone (floor)"]
    for name, rate in rates.items():
        print(f"{name:<24} {rate:10.2f} GB/s  {rate / floor:8.0%} of the floor")
    print(
        json.dumps({"benchmark": "tfrecord", "megabytes": len(content) / 1e6, "gigabytes_per_second": rates})
    )


def _write(path: Path, megabytes: int, episode_megabytes: int) -> None:
    generator = np.random.default_rng(0)
    pictures = [generator.bytes(IMAGE_BYTES) for _ in range(episode_megabytes * 1_000_000 // IMAGE_BYTES)]
    columns = {
        "steps/action": generator.standard_normal((len(pictures), 7)).astype(np.float32),
        "steps/is_first": np.arange(len(pictures)) == 0,
        "steps/observation/image": pictures,
    }
    example = encode_example(columns)
    with TFRecordWriter(path) as writer:
        for _ in range(max(1, megabytes * 1_000_000 // len(example))):
            writer.write(example)


def _best(way: Callable[[], object], repeat: int) -> float:
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        way()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
