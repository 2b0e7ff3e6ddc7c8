"""Small tasks, as LeRobot datasets: one that needs memory, one that needs depth, and one to start from.

`card`: a red or a blue card is held before the camera; from frame 8 on the robot goes to the side that it
names. A policy that sees one moment learns this, and is what the policies of the other two start from.

`cue`: the card is shown in the first four frames, and never again. What is seen while the robot goes is alike
for both sides.

`depth`: a disc of one size and colour is near or far; what lies near is to be taken (+1), what lies far
pushed (-1). The colour pictures of both are alike, recorded depth tells them apart.

    python examples/memory_tasks/make_tasks.py --out outputs/memory_tasks/data
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from tqdm import tqdm

SIZE, FRAMES, FPS = 64, 16, 10
CUE_FRAMES, DECISION = 4, 8  # the cue is seen before the first, the sides differ from the second on
TRAINED, HELD_OUT = 48, 20
EPISODES = TRAINED + HELD_OUT
CARD = 48  # pixels
FOCAL = 60.0
CAMERA, DEPTH = "observation.images.image", "observation.images.image_depth"
INTRINSICS = [FOCAL, FOCAL, (SIZE - 1) / 2, (SIZE - 1) / 2, SIZE, SIZE]
HWC = ["height", "width", "channels"]
TASKS = {
    "card": "go where the card says",
    "cue": "go where the card says",
    "depth": "take the near, push the far",
}
NEAR_MM, FAR_MM, WALL_MM = 500, 1500, 2500


def make(name: str, root: Path, episodes: int = EPISODES, seed: int = 0) -> None:
    """Write one task; the sides take turns, so that every part of the episodes is balanced."""
    features: dict[str, dict[str, Any]] = {
        CAMERA: {"dtype": "image", "shape": (SIZE, SIZE, 3), "names": HWC},
        "observation.state": {"dtype": "float32", "shape": (2,), "names": ["clock", "hand"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["side", "lift"]},
    }
    if name == "depth":
        # Colour is stored as it is; depth as LeRobot stores it, a video of 12 bits.
        depth = {"dtype": "video", "shape": (SIZE, SIZE, 1), "names": HWC, "info": {"is_depth_map": True}}
        features[DEPTH] = depth
    dataset = LeRobotDataset.create(
        repo_id=f"local/{name}", root=root, fps=FPS, features=features, robot_type="point", use_videos=True
    )
    rng = np.random.default_rng(seed)
    for episode in tqdm(range(episodes), desc=name, unit="episode"):
        side = (-1.0, 1.0)[episode % 2]
        if name == "depth":
            frames = depth_frames(side, rng)
        else:
            frames = card_frames(side, CUE_FRAMES if name == "cue" else FRAMES, rng)
        for frame in frames:
            dataset.add_frame(frame | {"task": TASKS[name]})
        dataset.save_episode()
    dataset.finalize()


def card_frames(side: float, shown: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """An episode in whose first `shown` frames the card is seen."""
    colour = (200, 40, 40) if side > 0 else (40, 40, 200)
    row, column = rng.integers(4, SIZE - CARD - 4, 2)
    frames = []
    for index in range(FRAMES):
        picture = noise(rng)
        if index < shown:
            picture[row : row + CARD, column : column + CARD] = colour
        frames.append(_frame(picture, index, side if index >= DECISION else 0.0))
    return frames


def depth_frames(side: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    """An episode of `depth`."""
    picture = noise(rng)
    v, u = np.mgrid[:SIZE, :SIZE]
    centre = rng.integers(20, SIZE - 20, 2)
    disc = (v - centre[0]) ** 2 + (u - centre[1]) ** 2 < 14**2
    picture[disc] = (90, 160, 90)
    depth = np.full((SIZE, SIZE, 1), WALL_MM, np.uint16)
    depth[disc] = NEAR_MM if side > 0 else FAR_MM
    return [_frame(picture, index, side) | {DEPTH: depth} for index in range(FRAMES)]


def noise(rng: np.random.Generator) -> np.ndarray:
    """A grey picture in which nothing is seen."""
    return rng.integers(100, 140, (SIZE, SIZE, 3)).astype(np.uint8)


def _frame(picture: np.ndarray, index: int, side: float) -> dict[str, Any]:
    # A state that says when it is, and nothing of the side.
    lift = np.cos(np.pi * index / FRAMES)
    state = np.array([index / FRAMES, lift], np.float32)
    return {CAMERA: picture, "observation.state": state, "action": np.array([side, lift], np.float32)}


def main() -> None:
    """Write them, where they are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the datasets")
    out = parser.parse_args().out
    for name in TASKS:
        if not (out / name).exists():
            partial = out / f"{name}.partial"
            if partial.exists():
                raise SystemExit(f"{partial} is of an interrupted run: remove it and run this again")
            make(name, partial)
            partial.rename(out / name)


if __name__ == "__main__":
    main()
