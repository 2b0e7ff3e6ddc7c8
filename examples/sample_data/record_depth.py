"""Play the recorded actions again and write what the cameras see, depth included, as a LeRobotDataset v3.

Runs in the simulator's own environment and needs only the committed RLDS set; half a minute an episode:

    .venv-libero/bin/python examples/sample_data/record_depth.py --out data/libero_depth --episodes 0 1 8 9

Names are those of `--env.type=libero_depth`, so a policy that is trained on the set acts there. Depth is
stored as LeRobot stores it: 12 bits on a logarithmic scale from 0.01 to 10 metres, in a video.
"""

import argparse
import itertools
import re
import tempfile
from pathlib import Path

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from libero_settings import set_up
from replay_demonstrations import RLDS, SIZE
from tqdm import tqdm
from write_sets import ACTION_NAMES, CAMERAS, FPS, STATE_NAMES, VIDEO

from lerobot_dataset_rlds.example import parse_example
from lerobot_dataset_rlds.tfrecord import TFRecordShard


def features(size: int) -> dict[str, dict]:
    """Of the dataset: two cameras, their depth, state and action."""
    names = ["height", "width", "channels"]
    colour = {"dtype": "video", "shape": (size, size, 3), "names": names}
    depth = {"dtype": "video", "shape": (size, size, 1), "names": names}
    return {
        **dict.fromkeys(CAMERAS, colour),
        **{f"{camera}_depth": depth | {"info": {"is_depth_map": True}} for camera in CAMERAS},
        "observation.state": {"dtype": "float32", "shape": (len(STATE_NAMES),), "names": STATE_NAMES},
        "action": {"dtype": "float32", "shape": (len(ACTION_NAMES),), "names": ACTION_NAMES},
    }


def record(dataset: LeRobotDataset, episode: memoryview, size: int) -> None:
    """Play one episode of the RLDS set into the dataset."""
    from simulator import Simulator  # LIBERO reads its configuration when imported: after set_up()

    columns = parse_example(episode)
    name = bytes(columns["episode_metadata/file_path"][0]).decode()
    suite, task, initial_state = re.fullmatch(r"(.+)_task(\d+)_init(\d+)\.npz", name).groups()
    simulator = Simulator(suite, int(task), int(initial_state), size, depth=True)
    try:
        for action in tqdm(np.reshape(columns["steps/action"], (-1, 7)), desc=name, leave=False):
            seen = {camera: getattr(simulator.frame, column) for camera, column in CAMERAS.items()}
            seen |= simulator.depths | {"observation.state": simulator.frame.state}
            dataset.add_frame(seen | {"action": action.astype(np.float32), "task": simulator.instruction})
            simulator.step(action)
    finally:
        simulator.close()
    dataset.save_episode()


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--out", type=Path, required=True, help="folder of the new dataset")
    parser.add_argument("--rlds", type=Path, default=RLDS, help="version folder of the set that is played")
    parser.add_argument("--episodes", type=int, nargs="+", help="which ones; all by default")
    parser.add_argument("--size", type=int, default=SIZE, help="height and width of the pictures in pixels")
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise SystemExit(f"error: {arguments.out} exists\n  do:       remove it, or name another --out")
    set_up()
    shards = map(TFRecordShard, sorted(arguments.rlds.glob("*.tfrecord-*")))
    records = list(itertools.chain.from_iterable(shards))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    # The set appears whole or not at all.
    with tempfile.TemporaryDirectory(dir=arguments.out.parent, prefix=".writing-") as folder:
        root = Path(folder) / "dataset"
        dataset = LeRobotDataset.create(
            "local/libero_depth", FPS, features(arguments.size), root, robot_type="franka", rgb_encoder=VIDEO
        )
        for index in tqdm(arguments.episodes or range(len(records)), unit="episode"):
            record(dataset, records[index], arguments.size)
        dataset.finalize()
        root.rename(arguments.out)
    print(f"{arguments.out}: {dataset.num_episodes} episodes, {dataset.num_frames} frames")


if __name__ == "__main__":
    main()
