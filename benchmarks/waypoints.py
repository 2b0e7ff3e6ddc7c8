"""How long the waypoints of an episode take, beside the algorithm written out as plain loops.

Both give the same indices on every trajectory, which is checked. One thread. The last line is JSON.

    python benchmarks/waypoints.py [--frames 300] [--repeat 5]
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from literal_waypoints import literal_waypoints

from lerobot_plugins.waypoints.extraction import position_waypoints

THRESHOLD = 0.006


def main() -> None:
    """Time both on smooth, noisy, straight and resting trajectories of six dimensions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=300, help="length of the episode")
    parser.add_argument("--repeat", type=int, default=5, help="runs, of which the best counts")
    arguments = parser.parse_args()
    seconds = {}
    for name, position_TD in trajectories(arguments.frames).items():
        start = time.perf_counter()
        expected = literal_waypoints(position_TD.tolist(), THRESHOLD)
        literal = time.perf_counter() - start
        if position_waypoints(position_TD, THRESHOLD, None) != expected:
            raise SystemExit(f"{name}: the two differ")
        free, capped = (
            _best(lambda x=position_TD, cap=cap: position_waypoints(x, THRESHOLD, cap), arguments.repeat)
            for cap in (None, 32)
        )
        seconds[name] = {"free": free, "max_duration_32": capped, "literal": literal}
        print(
            f"{name:<10} {len(expected):4d} waypoints  free {free * 1e3:7.1f} ms"
            f"  at most 32 frames {capped * 1e3:7.1f} ms  literal {literal:6.1f} s  {literal / free:6.0f}x"
        )
    print(json.dumps({"benchmark": "waypoints", "frames": arguments.frames, "seconds": seconds}))


def trajectories(frames: int) -> dict[str, np.ndarray]:
    """Positions (T, 6) in the range of a LIBERO arm."""
    generator = np.random.default_rng(0)
    t = np.arange(frames)[:, None]
    smooth = 0.3 * np.sin(t / generator.uniform(20, 60, size=6) + generator.uniform(0, 6, size=6))
    return {
        "smooth": smooth,
        "noisy": smooth + generator.normal(scale=0.002, size=smooth.shape),
        "straight": 0.01 * t * np.ones(6),
        "resting": np.zeros((frames, 6)),
    }


def _best(way: Callable[[], object], repeat: int) -> float:
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        way()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
