"""Play the recorded actions again in the simulator: do they still solve the task, along the same path?

Runs in the simulator's own environment and needs only the committed RLDS set:

    .venv-libero/bin/python examples/sample_data/replay_demonstrations.py --episodes 8 9

Exit status 1 when an episode is not solved or its hand strays from the recorded path.
"""

import argparse
import itertools
import re
import sys
from pathlib import Path

import numpy as np
from libero_settings import set_up

from lerobot_dataset_rlds.example import parse_example
from lerobot_dataset_rlds.tfrecord import TFRecordShard

RLDS = Path(__file__).resolve().parent / "rlds" / "libero_sample" / "1.0.0"
SIZE = 64
MAY_STRAY = 0.005  # metres; physics is deterministic on one machine, not between two


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--rlds", type=Path, default=RLDS, help="version folder of the set")
    parser.add_argument("--episodes", type=int, nargs="+", help="which ones; all by default")
    arguments = parser.parse_args()
    set_up()
    shards = map(TFRecordShard, sorted(arguments.rlds.glob("*.tfrecord-*")))
    records = list(itertools.chain.from_iterable(shards))
    results = [replay(index, records[index]) for index in arguments.episodes or range(len(records))]
    return int(not all(results))


def replay(index: int, record: memoryview) -> bool:
    """Play one episode; True when it is solved by its last action, close to the recorded path."""
    from simulator import Simulator  # LIBERO reads its configuration when imported: after set_up()

    columns = parse_example(record)
    name = bytes(columns["episode_metadata/file_path"][0]).decode()
    suite, task, initial_state = re.fullmatch(r"(.+)_task(\d+)_init(\d+)\.npz", name).groups()
    action_TA = np.reshape(columns["steps/action"], (-1, 7))
    state_TS = np.reshape(columns["steps/observation/state"], (-1, 8))

    simulator = Simulator(suite, int(task), int(initial_state), SIZE)
    solved, strayed = [], []
    for action, state in zip(action_TA, state_TS, strict=True):
        strayed.append(np.linalg.norm(simulator.frame.state[:3] - state[:3]))
        solved.append(simulator.step(action))
    simulator.close()
    good = solved == [False] * (len(solved) - 1) + [True] and max(strayed) < MAY_STRAY
    verdict = "solved by its last action" if good else "NOT as recorded"
    print(f"episode {index} ({name}): {verdict}; strayed by at most {1000 * max(strayed):.3f} mm", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
