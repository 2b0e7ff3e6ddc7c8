"""Record demonstrations of the scripted expert in the LIBERO simulator, one file per episode.

Each task is played from one stored initial state after another until enough episodes have succeeded;
failed ones are dropped. An initial state whose file exists is not played again, so an interrupted run
goes on where it stopped. It runs in the simulator's own environment:

    python scripts/libero_setup.py
    .venv-libero/bin/python examples/sample_data/make_demonstrations.py

A file holds the arrays `image`, `wrist_image` (T, H, W, 3) uint8, `state` (T, 8), `joint_state` (T, 7),
`action` (T, 7) float32 and the strings `instruction` and `name`; row t pairs what was seen at step t with
what was done then. The last action of an episode solves the task.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from expert import PickAndPlace
from libero_settings import ROOT, set_up
from tqdm import tqdm

if TYPE_CHECKING:
    from simulator import Simulator

RECORDINGS = ROOT / ".cache" / "sample_data"
INITIAL_STATES = 50  # stored per task in every suite


def play(simulator: "Simulator") -> dict[str, np.ndarray] | None:
    """Let the expert play one episode; returns its columns, or None when the task was not solved."""
    expert = PickAndPlace(simulator.scene)
    frames, actions = [], []
    while (action := expert.act(simulator.scene)) is not None:
        frames.append(simulator.frame)
        actions.append(action)
        if simulator.step(action):
            columns = {key: np.stack([getattr(frame, key) for frame in frames]) for key in vars(frames[0])}
            return columns | {"action": np.stack(actions), "instruction": np.array(simulator.instruction)}
    return None


def record(suite: str, task: int, initial_state: int, size: int, folder: Path) -> Path | None:
    """Play one initial state and write its episode; returns the file, or None if it was not solved."""
    from simulator import Simulator  # LIBERO reads its configuration when imported: after set_up()

    name = f"{suite}_task{task}_init{initial_state:02d}"
    file = folder / f"{name}.npz"
    if file.exists():
        return file
    simulator = Simulator(suite, task, initial_state, size)
    try:
        episode = play(simulator)
    finally:
        simulator.close()
    if episode is None:
        return None
    temporary = folder / f"{name}.partial.npz"
    np.savez_compressed(temporary, name=np.array(name), **episode)
    temporary.replace(file)
    return file


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", default="libero_object", help="a suite of pick-and-place-in-basket tasks")
    parser.add_argument("--tasks", type=int, nargs="+", default=[3, 8], help="indices of tasks in the suite")
    parser.add_argument("--episodes", type=int, default=5, help="successful episodes to record per task")
    parser.add_argument("--size", type=int, default=64, help="height and width of the pictures in pixels")
    parser.add_argument("--out", type=Path, default=RECORDINGS)
    arguments = parser.parse_args()

    set_up()
    arguments.out.mkdir(parents=True, exist_ok=True)

    with tqdm(total=len(arguments.tasks) * arguments.episodes, unit="episode") as progress:
        for task in arguments.tasks:
            recorded = 0
            for initial_state in range(INITIAL_STATES):
                if recorded == arguments.episodes:
                    break
                solved = record(arguments.suite, task, initial_state, arguments.size, arguments.out)
                if solved:
                    recorded += 1
                    progress.update()
                else:
                    tqdm.write(f"task {task}, initial state {initial_state}: not solved, dropped")


if __name__ == "__main__":
    main()
