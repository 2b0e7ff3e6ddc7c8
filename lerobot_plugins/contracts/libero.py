"""The Franka arm of LIBERO: state of 8, action of 7, and the conventions that go wrong in silence.

State: position of the hand (m), its orientation as an axis-angle vector (rad), both fingers (m). Action: six
numbers from -1 to 1 that the controller scales to steps of 0.05 m and 0.5 rad, and the gripper, -1 open and
+1 close. What a policy trained on the OpenVLA convention (1 open, 0 close) puts out must be converted.

There is no real robot behind it: the names end in `.pos` only so that LeRobot keeps them.
"""

import numpy as np

from lerobot_plugins.contracts.joints import Joint, symmetric
from lerobot_plugins.contracts.layout import Column, Layout, Values, rescaled
from lerobot_plugins.contracts.robot import Camera, RobotContract, Signal
from lerobot_plugins.errors import ZooError

ROBOT_TYPE = "libero_franka"
#: What 1 means to the controller OSC_POSE: metres, then radians.
OSC_SCALE = (0.05, 0.05, 0.05, 0.5, 0.5, 0.5)
#: The action that lets a scene settle, ten times, before an episode.
SETTLING_ACTION = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
FINGER_STROKE = 0.04  # m
#: A finger wider than this counts as open.
OPEN_FINGER = 0.02  # m
PANDA_JOINTS: dict[str, Joint] = {
    "panda_joint1": symmetric(2.8973, 2.175, 87.0),
    "panda_joint2": symmetric(1.7628, 2.175, 87.0),
    "panda_joint3": symmetric(2.8973, 2.175, 87.0),
    "panda_joint4": Joint(-3.0718, -0.0698, 2.175, 87.0),
    "panda_joint5": symmetric(2.8973, 2.61, 12.0),
    "panda_joint6": Joint(-0.0175, 3.7525, 2.61, 12.0),
    "panda_joint7": symmetric(2.8973, 2.61, 12.0),
}
#: Steps after which LeRobot ends an episode, per suite.
MAX_STEPS = {
    "libero_spatial": 280,
    "libero_object": 280,
    "libero_goal": 300,
    "libero_10": 520,
    "libero_90": 400,
}

_STEPS = ("dx", "dy", "dz", "drx", "dry", "drz")
LIBERO_FRANKA = RobotContract(
    robot_type=ROBOT_TYPE,
    state=(
        *(Signal(f"eef_{axis}.pos", "m", "hand", aliases=(f"eef_{axis}", axis)) for axis in "xyz"),
        *(
            Signal(f"eef_a{axis}.pos", "rad", "hand", aliases=(f"eef_a{axis}", f"axis_angle{i}"))
            for i, axis in enumerate("xyz", start=1)
        ),
        Signal("gripper_qpos_0.pos", "m", "gripper", 0.0, FINGER_STROKE, aliases=("gripper_qpos_0",)),
        Signal("gripper_qpos_1.pos", "m", "gripper", -FINGER_STROKE, 0.0, aliases=("gripper_qpos_1",)),
    ),
    action=(
        *(Signal(f"{step}.pos", "1", "hand", -1.0, 1.0, aliases=(step,)) for step in _STEPS),
        Signal("gripper.pos", "1", "gripper", -1.0, 1.0, aliases=("gripper",)),
    ),
    cameras=(Camera("image", 256, 256), Camera("image2", 256, 256)),
    fps=20,
    sources=("lerobot/envs/libero.py", "robosuite, OSC_POSE and quat2axisangle"),
)


def axis_angle(quaternion: Values) -> Values:
    """The axis-angle vectors that LIBERO's states hold, by robosuite's rule.

    The sign of a quaternion is not flipped: with w < 0 the angle is larger than pi. Do not canonicalise:
    policies have seen it so.

    Args:
        quaternion: (..., 4) as x, y, z, w of unit length, NumPy or torch, floating.

    Returns:
        (..., 3) rad; 0 where there is no rotation.

    Raises:
        ZooError: The last dimension is not 4.
    """
    if quaternion.shape[-1:] != (4,):
        raise ZooError(
            "a quaternion has another length", got=tuple(quaternion.shape), expected="(..., 4): x, y, z, w"
        )
    if isinstance(quaternion, np.ndarray):
        w = np.clip(quaternion[..., 3:], -1, 1)
        sine = np.sqrt(1 - w * w)
        turns = sine > 1e-10
        factor = np.where(turns, 2 * np.arccos(w) / np.where(turns, sine, 1), 0).astype(quaternion.dtype)
        return quaternion[..., :3] * factor
    import torch

    cosine = quaternion[..., 3:].clamp(-1, 1)
    length = (1 - cosine * cosine).sqrt()
    rotates = length > 1e-10
    ratio = 2 * torch.acos(cosine) / torch.where(rotates, length, torch.ones_like(length))
    return quaternion[..., :3] * torch.where(rotates, ratio, torch.zeros_like(ratio))


def turned(picture: Values) -> Values:
    """(..., H, W, C) turned by 180 degrees: the simulator's pictures lie upside down, a dataset's do not."""
    if isinstance(picture, np.ndarray):
        return picture[..., ::-1, ::-1, :]
    return picture.flip(-3, -2)


def gripper_to_training(raw: Values) -> Values:
    """Raw gripper actions (-1 open, +1 close) as OpenVLA trains on them: 1 open, 0 close."""
    return 1 - (np.clip(raw, 0, 1) if isinstance(raw, np.ndarray) else raw.clamp(0, 1))


def gripper_to_raw(training: Values) -> Values:
    """Gripper actions of 1 open to 0 close as the simulator wants them: -1 or +1; 0 exactly in the middle."""
    centred = 2 * training - 1
    return -(np.sign(centred) if isinstance(centred, np.ndarray) else centred.sign())


def _raw() -> Layout:
    """As LeRobot's environment and datasets have it. Names differ between the sets, the order does not."""
    state = [Column(signal.name, signal.name, aliases=signal.aliases) for signal in LIBERO_FRANKA.state]
    for i, axis in enumerate("xyz", start=3):
        # As this project's converter of RLDS writes it.
        state[i] = Column(state[i].name, state[i].name, aliases=(*state[i].aliases, f"r{axis}"))
    for i, side in ((6, "left"), (7, "right")):
        name = state[i].name
        others = (*state[i].aliases, "gripper", f"{side}_finger", f"gripper_{side}", f"gripper_{i - 5}")
        state[i] = Column(name, name, aliases=others)
    also = ("x", "y", "z", "axis_angle1", "axis_angle2", "axis_angle3"), ("roll", "pitch", "yaw")
    action = [
        Column(signal.name, signal.name, aliases=(*signal.aliases, name))
        for signal, name in zip(LIBERO_FRANKA.action, (*also[0], "gripper"), strict=True)
    ]
    for i, name in enumerate(also[1], start=3):
        action[i] = Column(action[i].name, action[i].signal, aliases=(*action[i].aliases, name))
    return Layout(
        "raw", ROBOT_TYPE, tuple(state), tuple(action), "LeRobot's environment and its LIBERO datasets."
    )


def _openpi() -> Layout:
    def in_feature(columns: tuple[Column, ...], feature: str) -> tuple[Column, ...]:
        return tuple(Column(c.name, c.signal, aliases=c.aliases, feature=feature) for c in columns)

    return Layout(
        "openpi",
        ROBOT_TYPE,
        in_feature(RAW.state, "state"),
        in_feature(RAW.action, "actions"),
        "physical-intelligence/libero: the same under the names `state` and `actions`.",
    )


RAW = _raw()
LAYOUTS = (
    RAW,
    _openpi(),
    rescaled(RAW, "openvla_gripper", {"gripper.pos": (-2.0, 1.0)}, "Gripper 1 open, 0 close.", ("action",)),
    rescaled(RAW, "calvin_gripper", {"gripper.pos": (-1.0, 0.0)}, "Gripper +1 open, -1 close.", ("action",)),
    rescaled(
        RAW,
        "metric",
        {f"{step}.pos": (1 / scale, 0.0) for step, scale in zip(_STEPS, OSC_SCALE, strict=True)},
        "Steps of the hand in metres and radians.",
        ("action",),
    ),
)
