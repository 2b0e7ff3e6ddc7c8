"""The presets for CALVIN and Galaxea's Open-World set, on sets written in their form."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rlds_samples import encoded

from lerobot_dataset_rlds import PRESETS
from lerobot_dataset_rlds.mapping import load_mapping
from lerobot_dataset_rlds.source import RldsSource
from lerobot_dataset_rlds.writing import write_rlds
from lerobot_plugins.contracts.catalog import layouts
from lerobot_plugins.conversion.writer import write_dataset
from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.rule import PRESETS as RULES

FRAMES = 6


def calvin(number: int) -> dict[str, Any]:
    generator = np.random.default_rng(number)
    steps = np.arange(FRAMES)
    return {
        "steps": {
            "observation/rgb_static": [encoded(10 * number + t, size=200) for t in range(FRAMES)],
            "observation/rgb_gripper": [encoded(10 * number + t, size=84) for t in range(FRAMES)],
            "observation/state": generator.random((FRAMES, 15)).astype(np.float32),
            "action": generator.random((FRAMES, 7)).astype(np.float32),
            "language_instruction": ["push the blue block"] * FRAMES,
            "is_first": steps == 0,
            "is_last": steps == FRAMES - 1,
        }
    }


def open_world(number: int, instruction: str = "tidy up@拿杯子@pick up the cup") -> dict[str, Any]:
    generator = np.random.default_rng(number)
    sizes = {
        "joint_position_arm_left": 6,
        "joint_position_arm_right": 6,
        "joint_position_torso": 4,
        "joint_velocity_arm_left": 6,
        "joint_velocity_arm_right": 6,
        "gripper_state_left": 1,
        "gripper_state_right": 1,
        "base_velocity": 3,
        "last_action": 26,
    }
    numbers = {
        f"observation/{name}": generator.random((FRAMES, size)).astype(np.float32)
        for name, size in sizes.items()
    }
    pictures = {
        f"observation/image_camera_{name}": [encoded(t, size=224) for t in range(FRAMES)]
        for name in ("head", "wrist_left", "wrist_right")
    }
    return {
        "steps": numbers
        | pictures
        | {
            "action": generator.random((FRAMES, 26)).astype(np.float32),
            "language_instruction": [instruction] * FRAMES,
            "variant_idx": np.zeros(FRAMES, np.int32),
            "segment_idx": np.zeros(FRAMES, np.int32),
        },
        "episode_metadata": {"file_path": "recorded/0"},
    }


def opened(root: Path, preset: str, episodes: list[dict[str, Any]]) -> RldsSource:
    write_rlds(root, preset, episodes)
    return RldsSource.open(root, load_mapping(PRESETS / f"{preset}.yaml"))


def test_calvin(tmp_path: Path) -> None:
    episodes = [calvin(0), calvin(1)]
    source = opened(tmp_path / "rlds", "calvin", episodes)
    made = write_dataset(source, tmp_path / "out", images="jpeg")
    assert (made.episodes, made.frames) == (2, 2 * FRAMES)
    read = source.read(1)
    np.testing.assert_array_equal(
        read.columns["observation.state"], episodes[1]["steps"]["observation/state"]
    )
    assert set(read.tasks) == {"push the blue block"}
    state, action = (source.features[key]["names"] for key in ("observation.state", "action"))
    assert (state[6], state[14], action[6]) == ("gripper_width", "gripper", "gripper")
    assert RULES["calvin"].gripper_dims == (6,)
    shapes = [source.features[f"observation.images.rgb_{name}"]["shape"] for name in ("static", "gripper")]
    assert shapes == [(200, 200, 3), (84, 84, 3)]


def test_open_world(tmp_path: Path) -> None:
    episodes = [open_world(0)]
    source = opened(tmp_path / "rlds", "r1_lite", episodes)
    made = write_dataset(source, tmp_path / "out", images="jpeg")
    assert made.frames == FRAMES
    read, steps = source.read(0), episodes[0]["steps"]
    state = np.concatenate(
        [
            steps[f"observation/{name}_{side}"]
            for side in ("left", "right")
            for name in ("joint_position_arm", "gripper_state")
        ],
        axis=1,
    )
    np.testing.assert_array_equal(read.columns["observation.state"], state)
    np.testing.assert_array_equal(read.columns["action"], steps["action"][:, :14])
    assert set(read.tasks) == {"pick up the cup"}
    layout = layouts("galaxea_r1_lite")["arms_14"]
    for key, columns in (("observation.state", layout.state), ("action", layout.action)):
        assert source.features[key]["names"] == [column.name for column in columns]
    assert source.robot_type == layout.robot_type
    assert [source.features["action"]["names"][dim] for dim in RULES["r1_lite"].gripper_dims] == [
        "left_gripper",
        "right_gripper",
    ]


def test_an_instruction_without_its_part_is_refused(tmp_path: Path) -> None:
    source = opened(tmp_path / "rlds", "r1_lite", [open_world(0, "tidy up")])
    with pytest.raises(ZooError, match=r"has no part 2[^$]*tidy up[^$]*at least 3 parts"):
        source.read(0)
