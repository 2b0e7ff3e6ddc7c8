"""R1 Pro as BEHAVIOR-1K records it: 256 numbers of proprioception, a state of 23 and an action of 23.

The layout is that of the simulator's `learning/utils/eval_utils.py`; state and action are those on which
pi0.5 is trained there. Mind the grippers: they are the last two numbers of the state, but numbers 14 and 22
of the action.

Units: positions in radians (grippers in the state: opening width in metres; in the action: -1 closed, +1
open), base velocities in metres and radians per second, in the robot's frame.
"""

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from lerobot_plugins.errors import ZooError

if TYPE_CHECKING:
    import torch

Values = TypeVar("Values", np.ndarray, "torch.Tensor")

ROBOT_TYPE = "r1_pro"

# Cameras as BEHAVIOR-1K names them: fx, fy, cx, cy in pixels of a picture of (width, height).
INTRINSICS: dict[str, list[float]] = {
    "observation.images.rgb.head": [306.0, 306.0, 360.0, 360.0, 720.0, 720.0],
    "observation.images.rgb.left_wrist": [388.6639, 388.6639, 240.0, 240.0, 480.0, 480.0],
    "observation.images.rgb.right_wrist": [388.6639, 388.6639, 240.0, 240.0, 480.0, 480.0],
}

_LENGTHS = {
    "joint_qpos": 28,  # base 0-5, torso 6-9, left arm 10, 12 .. 22, right arm 11, 13 .. 23, fingers 24-27
    "joint_qpos_sin": 28,
    "joint_qpos_cos": 28,
    "joint_qvel": 28,
    "joint_qeffort": 28,
    "robot_pos": 3,
    "robot_ori_cos": 3,
    "robot_ori_sin": 3,
    "robot_2d_ori": 1,
    "robot_2d_ori_cos": 1,
    "robot_2d_ori_sin": 1,
    "robot_lin_vel": 3,
    "robot_ang_vel": 3,
    "arm_left_qpos": 7,
    "arm_left_qpos_sin": 7,
    "arm_left_qpos_cos": 7,
    "arm_left_qvel": 7,
    "eef_left_pos": 3,
    "eef_left_quat": 4,
    "gripper_left_qpos": 2,
    "gripper_left_qvel": 2,
    "arm_right_qpos": 7,
    "arm_right_qpos_sin": 7,
    "arm_right_qpos_cos": 7,
    "arm_right_qvel": 7,
    "eef_right_pos": 3,
    "eef_right_quat": 4,
    "gripper_right_qpos": 2,
    "gripper_right_qvel": 2,
    "trunk_qpos": 4,
    "trunk_qvel": 4,
    "base_qpos": 3,
    "base_qpos_sin": 3,
    "base_qpos_cos": 3,
    "base_qvel": 3,
}


def places(lengths: dict[str, int]) -> dict[str, slice]:
    """Where each quantity lies in a vector of them all; `lengths` says how many numbers each has."""
    ends = np.cumsum(list(lengths.values())).tolist()
    return {name: slice(end - length, end) for (name, length), end in zip(lengths.items(), ends, strict=True)}


#: Where each quantity lies in the 256 numbers.
PROPRIOCEPTION: dict[str, slice] = places(_LENGTHS)
PROPRIOCEPTION_DIM = sum(_LENGTHS.values())
#: Quantities whose recorded values are wrong; nothing may be trained on them.
UNRELIABLE = ("joint_qeffort",)

_BASE = [f"base_{axis}.vel" for axis in ("x", "y", "yaw")]
_TORSO = [f"torso_{i}.pos" for i in range(1, 5)]
_LEFT_ARM = [f"left_arm_{i}.pos" for i in range(1, 8)]
_RIGHT_ARM = [f"right_arm_{i}.pos" for i in range(1, 8)]
_LEFT_GRIPPER, _RIGHT_GRIPPER = "left_gripper.pos", "right_gripper.pos"

STATE_NAMES: list[str] = [*_BASE, *_TORSO, *_LEFT_ARM, *_RIGHT_ARM, _LEFT_GRIPPER, _RIGHT_GRIPPER]
ACTION_NAMES: list[str] = [*_BASE, *_TORSO, *_LEFT_ARM, _LEFT_GRIPPER, *_RIGHT_ARM, _RIGHT_GRIPPER]
STATE_GRIPPER_DIMS = (STATE_NAMES.index(_LEFT_GRIPPER), STATE_NAMES.index(_RIGHT_GRIPPER))
ACTION_GRIPPER_DIMS = (ACTION_NAMES.index(_LEFT_GRIPPER), ACTION_NAMES.index(_RIGHT_GRIPPER))
#: For each dimension of the action, the dimension of the state that measures the same joint.
ACTION_TO_STATE: tuple[int, ...] = tuple(STATE_NAMES.index(name) for name in ACTION_NAMES)

_STATE_SOURCES = ("base_qvel", "trunk_qpos", "arm_left_qpos", "arm_right_qpos")
_FINGERS_OF_GRIPPERS = (PROPRIOCEPTION["gripper_left_qpos"], PROPRIOCEPTION["gripper_right_qpos"])
_FIRST_FINGERS = [fingers.start for fingers in _FINGERS_OF_GRIPPERS]
_SECOND_FINGERS = [fingers.start + 1 for fingers in _FINGERS_OF_GRIPPERS]
_STATE_INDICES = [i for name in _STATE_SOURCES for i in range(256)[PROPRIOCEPTION[name]]] + _FIRST_FINGERS


def state_from_proprioception(proprioception: Values) -> Values:
    """The state of 23 numbers: base velocity, torso, left arm, right arm, width of both grippers.

    A gripper's width is the sum of its two fingers' positions.

    Args:
        proprioception: (..., 256), NumPy or torch, any floating dtype.

    Returns:
        (..., 23), a copy of the same kind and dtype, named by `STATE_NAMES`.

    Raises:
        ZooError: The last dimension is not 256.
    """
    if proprioception.shape[-1] != PROPRIOCEPTION_DIM:
        raise ZooError(
            "R1 Pro proprioception has another length",
            got=proprioception.shape[-1],
            expected=f"{PROPRIOCEPTION_DIM} numbers; a state of {len(STATE_NAMES)} needs no conversion",
        )
    state = proprioception[..., _STATE_INDICES]
    state[..., -2:] += proprioception[..., _SECOND_FINGERS]
    return state


def reliable_indices() -> list[int]:
    """The indices of the proprioception that may be trained on, in order: all but joint efforts."""
    return [
        i
        for name, place in PROPRIOCEPTION.items()
        if name not in UNRELIABLE
        for i in range(place.start, place.stop)
    ]


def proprioception_names() -> list[str]:
    """A name for each of the 256 numbers: the quantity and the place in it, `arm_left_qpos_0`."""
    return [f"{name}_{i}" for name, length in _LENGTHS.items() for i in range(length)]
