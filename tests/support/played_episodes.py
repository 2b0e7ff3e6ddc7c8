"""A recorded episode of one of the robots, made without any: smooth, within limits, with small pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.utils.feature_utils import build_dataset_frame, hw_to_dataset_features

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.layout import Column
from lerobot_plugins.robots.poses import rest_value

HEIGHT, WIDTH = 24, 32


def state_at(robot_type: str, frame: int) -> dict[str, float]:
    """The recorded state of a frame: near rest, each signal with a value of its own."""
    return {
        signal.name: rest_value(signal) + (0.001 if (signal.upper or 1) > 0 else -0.001) * (frame + i / 100)
        for i, signal in enumerate(catalog.contract(robot_type).state)
    }


def action_at(robot_type: str, frame: int) -> dict[str, float]:
    """The recorded action of a frame: the next frame's state, base at rest."""
    state = state_at(robot_type, frame + 1)
    return {
        signal.name: 0.0 if signal.group == "base" or not signal.exists else state[signal.name]
        for signal in catalog.contract(robot_type).action
    }


def depth_at(frame: int) -> np.ndarray:
    """(H, W, 1) uint16 mm."""
    rows_HW, columns_HW = np.indices((HEIGHT, WIDTH))
    return (500 + 10 * frame + 2 * rows_HW + columns_HW).astype(np.uint16)[:, :, None]


def write_episode(
    root: Path, robot_type: str, frames: int = 6, fps: int = 10, layout: str | None = None
) -> Path:
    """A dataset with one episode, as the robot's own plugin records it or in another of its layouts.

    Pictures are stored as images.
    """
    contract = catalog.contract(robot_type)
    columns = catalog.layout(robot_type, layout or next(iter(catalog.layouts(robot_type))))
    observed: dict[str, Any] = dict.fromkeys(columns.names("state"), float)
    camera = contract.cameras[0]
    observed[camera.name] = (HEIGHT, WIDTH, 3)
    if camera.depth:
        observed[f"{camera.name}_depth"] = (HEIGHT, WIDTH, 1)
    features = hw_to_dataset_features(observed, "observation", use_video=False)
    features |= hw_to_dataset_features(dict.fromkeys(columns.names("action"), float), "action")
    dataset = LeRobotDataset.create(
        f"local/{robot_type}", fps, root=root, robot_type=robot_type, features=features, use_videos=False
    )
    for frame in range(frames):
        values = _recorded(columns.state, state_at(robot_type, frame))
        values[camera.name] = np.full((HEIGHT, WIDTH, 3), 10 * frame, np.uint8)
        values[f"{camera.name}_depth"] = depth_at(frame)
        dataset.add_frame(
            build_dataset_frame(features, values, "observation")
            | build_dataset_frame(features, _recorded(columns.action, action_at(robot_type, frame)), "action")
            | {"task": "wave"}
        )
    dataset.save_episode()
    dataset.finalize()
    return root


def _recorded(columns: tuple[Column, ...], signals: dict[str, float]) -> dict[str, Any]:
    return {column.name: (signals[column.signal] - column.offset) / column.scale for column in columns}
