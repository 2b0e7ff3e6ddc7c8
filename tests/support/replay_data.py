"""Small recorded datasets whose frames say where they are, for tests of the replay environment."""

from pathlib import Path
from typing import Any

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

NAMES = ["x", "y", "gripper", "fixed"]
TASKS = ("pick up the soup", "open the drawer, slowly")
LENGTHS = (7, 4, 9)
FPS = 10


def write_replay_dataset(
    root: Path,
    lengths: tuple[int, ...] = LENGTHS,
    *,
    videos: bool = False,
    names: list[str] = NAMES,
    state_names: list[str] | None = None,
    more_features: dict[str, dict[str, Any]] | None = None,
    seed: int = 0,
) -> LeRobotDataset:
    """Two cameras of different shape, a state named like the action, `observation.place` = (episode, frame).

    The last action dimension is constant; `gripper` opens halfway through each episode.
    """
    rng = np.random.default_rng(seed)
    dtype = "video" if videos else "image"
    features: dict[str, dict[str, Any]] = {
        f"observation.images.{camera}": {
            "dtype": dtype,
            "shape": shape,
            "names": ["height", "width", "channels"],
        }
        for camera, shape in (("top", (64, 64, 3)), ("wrist", (64, 96, 3)))
    }
    features["observation.state"] = {
        "dtype": "float32",
        "shape": (len(names),),
        "names": names if state_names is None else state_names,
    }
    features["observation.place"] = {"dtype": "float32", "shape": (2,), "names": ["episode", "frame"]}
    features["action"] = {"dtype": "float32", "shape": (len(names),), "names": names}
    features |= more_features or {}
    dataset = LeRobotDataset.create("local/replay", root=root, fps=FPS, features=features, use_videos=videos)
    for episode, length in enumerate(lengths):
        state_TA = np.cumsum(rng.normal(0, 0.2, (length, len(names))), axis=0).astype(np.float32)
        action_TA = (state_TA + rng.normal(0, 0.1, state_TA.shape)).astype(np.float32)
        action_TA[:, 2] = np.where(np.arange(length) < length // 2, -1, 1)
        action_TA[:, 3:] = 0.5
        for frame in range(length):
            item = {key: _sample(feature, rng) for key, feature in features.items()}
            item |= {
                "observation.state": state_TA[frame],
                "observation.place": np.array([episode, frame], np.float32),
                "action": action_TA[frame],
                "task": TASKS[episode % 2],
            }
            dataset.add_frame(item)
        dataset.save_episode()
    dataset.finalize()
    return LeRobotDataset("local/replay", root=root, video_backend="pyav")


def recorded_actions(dataset: LeRobotDataset) -> list[np.ndarray]:
    """The recorded actions of each episode, (T, A)."""
    columns = dataset.hf_dataset.with_format("numpy", columns=["action", "episode_index"])[:]
    return [
        np.stack(columns["action"])[columns["episode_index"] == episode]
        for episode in range(dataset.meta.total_episodes)
    ]


def _sample(feature: dict[str, Any], rng: np.random.Generator) -> Any:
    if feature["dtype"] in ("image", "video"):
        return rng.integers(0, 256, feature["shape"], dtype=np.uint8)
    if feature["dtype"] == "string":
        return "a note"
    return rng.integers(0, 2, feature["shape"]).astype(feature["dtype"])
