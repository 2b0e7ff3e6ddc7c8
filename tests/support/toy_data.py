"""Small LeRobot datasets and batches that tests train on."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

CAMERAS = ("image", "image2")
STATE_NAMES = ["x", "y", "z", "rx", "ry", "rz", "gripper_left", "gripper_right"]
ACTION_NAMES = ["x", "y", "z", "rx", "ry", "rz", "gripper"]


def write_toy_dataset(
    root: Path,
    lengths: tuple[int, ...] = (9, 7, 8, 6),
    size: int = 64,
    cameras: tuple[str, ...] = CAMERAS,
    action_names: list[str] = ACTION_NAMES,
    seed: int = 0,
) -> LeRobotDataset:
    """A v3 dataset with image storage, two tasks in turn, and actions that follow from the state."""
    rng = np.random.default_rng(seed)
    features: dict[str, dict[str, Any]] = {
        f"observation.images.{name}": {
            "dtype": "image",
            "shape": (size, size, 3),
            "names": ["height", "width", "channels"],
        }
        for name in cameras
    }
    features["observation.state"] = {"dtype": "float32", "shape": (8,), "names": STATE_NAMES}
    features["action"] = {"dtype": "float32", "shape": (len(action_names),), "names": action_names}
    dataset = LeRobotDataset.create(
        repo_id="local/toy", root=root, fps=20, features=features, robot_type="franka", use_videos=False
    )
    for episode, length in enumerate(lengths):
        state_TD = np.cumsum(rng.normal(0, 0.1, (length, 8)), axis=0).astype(np.float32)
        action_TA = np.resize(np.sin(3 * state_TD), (length, len(action_names))).astype(np.float32)
        action_TA[:, -1] = np.where(np.arange(length) < length // 2, -1.0, 1.0)
        for state, action in zip(state_TD, action_TA, strict=True):
            frame = {
                f"observation.images.{name}": rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
                for name in cameras
            }
            dataset.add_frame(
                frame
                | {
                    "observation.state": state,
                    "action": action,
                    "task": ("pick up the soup", "open the drawer")[episode % 2],
                }
            )
        dataset.save_episode()
    dataset.finalize()
    return LeRobotDataset("local/toy", root=root)


def toy_batch(
    batch: int = 3,
    horizon: int = 8,
    width: int = 7,
    size: int = 64,
    tokens: int = 12,
    cameras: tuple[str, ...] = CAMERAS,
    seed: int = 0,
) -> dict[str, Any]:
    """A preprocessed batch as `paligemma_flow` receives it."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator) * 2 - 1

    mask_BL = torch.ones(batch, tokens, dtype=torch.bool)
    mask_BL[-1, tokens // 2 :] = False
    padded_BH = torch.zeros(batch, horizon, dtype=torch.bool)
    padded_BH[-1, horizon // 2 :] = True
    images = {
        f"observation.images.{name}": torch.rand(batch, 3, size, size, generator=generator)
        for name in cameras
    }
    return images | {
        "observation.state": uniform(batch, 8),
        "action": uniform(batch, horizon, width),
        "action_is_pad": padded_BH,
        "observation.language.tokens": torch.randint(3, 250, (batch, tokens), generator=generator),
        "observation.language.attention_mask": mask_BL,
        "task": ["pick up the soup"] * batch,
    }
