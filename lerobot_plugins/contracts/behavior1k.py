"""R1 Pro in the simulator BEHAVIOR-1K: its contract, states of 256, 61 and 23, and what is allowed of them.

`r1pro` holds the 256 numbers, the state and the action of 23. The demonstrations of 2026 have 61 numbers,
none of them forbidden, and base velocities in the action as -1 to 1 of `BASE_SPEED`.

Source: StanfordVL/BEHAVIOR-1K, `learning/utils/eval_utils.py`.
"""

import re

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.contracts.galaxea_r1 import HARD_LIMITS
from lerobot_plugins.contracts.layout import Column, Layout, Values, contract_layout
from lerobot_plugins.contracts.robot import Camera, RobotContract, Signal
from lerobot_plugins.errors import ZooError

BASE_SPEED = (0.75, 0.75, 1.0)  # m/s, m/s, rad/s
GRIPPER_WIDTH = 0.1  # m, both fingers
#: The simulator lets joint 4 of the arms go further than the URDF.
_ARM_JOINT_4_LOWER = -2.0944

_LENGTHS_2026 = {
    "base_qvel": 3,
    "arm_left_qpos": 7,
    "arm_left_qvel": 7,
    "eef_left_pos": 3,
    "eef_left_quat": 4,
    "gripper_left_qpos": 2,
    "gripper_left_qvel": 2,
    "arm_right_qpos": 7,
    "arm_right_qvel": 7,
    "eef_right_pos": 3,
    "eef_right_quat": 4,
    "gripper_right_qpos": 2,
    "gripper_right_qvel": 2,
    "trunk_qpos": 4,
    "trunk_qvel": 4,
}


#: Where each quantity lies in the 61 numbers of 2026.
PROPRIOCEPTION_2026: dict[str, slice] = r1pro.places(_LENGTHS_2026)
#: Joints in the 28 numbers of `joint_qpos`, `joint_qvel` ...: the arms are interleaved.
JOINT_ORDER: dict[str, tuple[int, ...]] = {
    "base": tuple(range(6)),
    "torso": tuple(range(6, 10)),
    "left_arm": tuple(range(10, 24, 2)),
    "right_arm": tuple(range(11, 24, 2)),
    "left_gripper": (24, 25),
    "right_gripper": (26, 27),
}
#: Quantities that the challenge's standard track forbids, as they tell where robot and base are in the world;
#: of `joint_qpos` it is the first six numbers.
FORBIDDEN = (
    *("robot_pos", "robot_ori_cos", "robot_ori_sin", "robot_2d_ori", "robot_2d_ori_cos", "robot_2d_ori_sin"),
    *("base_qpos", "base_qpos_sin", "base_qpos_cos"),
)
_FORBIDDEN_JOINTS = 6


def is_allowed(quantity: str, index: int = 0) -> bool:
    """Whether the standard track allows number `index` of a quantity of the proprioception."""
    if quantity not in r1pro.PROPRIOCEPTION:
        raise ZooError("unknown quantity", got=quantity, expected=" or ".join(r1pro.PROPRIOCEPTION))
    # The sine and cosine of a forbidden angle tell it too.
    if quantity in ("joint_qpos", "joint_qpos_sin", "joint_qpos_cos"):
        return index >= _FORBIDDEN_JOINTS
    return quantity not in FORBIDDEN


def allowed_indices() -> list[int]:
    """The indices of the 256 numbers that the standard track allows and that are reliable, in order."""
    reliable = set(r1pro.reliable_indices())
    return [
        i
        for quantity, place in r1pro.PROPRIOCEPTION.items()
        for i in range(place.start, place.stop)
        if i in reliable and is_allowed(quantity, i - place.start)
    ]


def state_from_proprioception_2026(proprioception: Values) -> Values:
    """The state of 23 numbers (`r1pro.STATE_NAMES`) from the 61 of 2026, (..., 61) -> (..., 23).

    Raises:
        ZooError: The last dimension is not 61.
    """
    from lerobot_plugins.contracts.conversion import conversion

    return conversion(PROPRIO_61, STATE_23, "state")(proprioception)


def _joint(name: str) -> str:
    """`left_arm_3.pos` -> `left_arm_joint3`, the URDF's name."""
    return re.sub(r"_(\d)\.pos$", r"_joint\1", name)


def _signal(name: str, *, action: bool) -> Signal:
    group = name.partition(".")[0].rstrip("_0123456789")
    if name.startswith("base_"):
        speed = BASE_SPEED[("base_x.vel", "base_y.vel", "base_yaw.vel").index(name)]
        return Signal(name, "rad/s" if "yaw" in name else "m/s", "base", -speed, speed)
    if "gripper" in name:
        return Signal(name, "1", group, -1.0, 1.0) if action else Signal(name, "m", group, 0.0, GRIPPER_WIDTH)
    limits = HARD_LIMITS["galaxea_r1_pro"][_joint(name)]
    lower = _ARM_JOINT_4_LOWER if name.endswith("arm_4.pos") else limits.lower
    return Signal(name, "rad", group, lower, limits.upper, joint=_joint(name))


R1_PRO = RobotContract(
    robot_type=r1pro.ROBOT_TYPE,
    state=tuple(_signal(name, action=False) for name in r1pro.STATE_NAMES),
    action=tuple(_signal(name, action=True) for name in r1pro.ACTION_NAMES),
    cameras=(
        Camera("head", 720, 720, depth=True),
        Camera("left_wrist", 480, 480, depth=True),
        Camera("right_wrist", 480, 480, depth=True),
    ),
    fps=30,
    sources=("StanfordVL/BEHAVIOR-1K, learning/utils/eval_utils.py",),
)

_SIGNAL_OF_QUANTITY = {
    **{("base_qvel", i): f"base_{axis}.vel" for i, axis in enumerate(("x", "y", "yaw"))},
    **{("trunk_qpos", i): f"torso_{i + 1}.pos" for i in range(4)},
    **{(f"arm_{side}_qpos", i): f"{side}_arm_{i + 1}.pos" for side in ("left", "right") for i in range(7)},
}


def _proprioception(places: dict[str, slice]) -> tuple[Column, ...]:
    columns = []
    for quantity, place in places.items():
        for i in range(place.stop - place.start):
            name = f"{quantity}_{i}"
            suffix = "vel" if "vel" in quantity else "pos"
            columns.append(Column(name, _SIGNAL_OF_QUANTITY.get((quantity, i), f"{name}.{suffix}")))
    return tuple(columns)


_WIDTHS = {
    f"{side}_gripper.pos": tuple(f"gripper_{side}_qpos_{i}" for i in (0, 1)) for side in ("left", "right")
}
STATE_23 = contract_layout(
    R1_PRO, "state_23", "What this project's converter writes and pi0.5 is trained on."
)
PROPRIO_256 = Layout(
    "proprio_256",
    r1pro.ROBOT_TYPE,
    _proprioception(r1pro.PROPRIOCEPTION),
    STATE_23.action,
    "The demonstrations of 2025.",
    sums=_WIDTHS,
)
PROPRIO_61 = Layout(
    "proprio_61",
    r1pro.ROBOT_TYPE,
    _proprioception(PROPRIOCEPTION_2026),
    tuple(
        Column(column.name, column.signal, scale, aliases=column.aliases)
        for column, scale in zip(STATE_23.action, (*BASE_SPEED, *[1.0] * 20), strict=True)
    ),
    "The demonstrations of 2026; base velocities in the action from -1 to 1.",
    sums=_WIDTHS,
)
LAYOUTS = (STATE_23, PROPRIO_256, PROPRIO_61)
