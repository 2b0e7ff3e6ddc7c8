"""The layouts in which recordings of Galaxea's robots are found, but the toolkit's (`galaxea_toolkit`)."""

from collections.abc import Sequence
from dataclasses import replace

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.contracts.behavior1k import GRIPPER_WIDTH
from lerobot_plugins.contracts.galaxea_r1 import (
    GALAXEA_R1,
    GALAXEA_R1_LITE,
    GALAXEA_R1_PRO,
    SIDES,
    arm_joints,
)
from lerobot_plugins.contracts.grippers import CONVENTIONS
from lerobot_plugins.contracts.layout import Column, Layout, columns_of, contract_layout
from lerobot_plugins.contracts.robot import RobotContract

_AXES = ("x", "y", "z", "roll", "pitch", "yaw")
#: Twists as recorded: of the torso's top, and of the base, whose x, y and yaw are signals of the contracts.
TORSO_TWIST = tuple(f"torso_twist_{axis}.vel" for axis in _AXES)
BASE_TWIST = tuple(f"base_{axis}.vel" for axis in _AXES)


def arms_and_grippers(count: int) -> list[str]:
    """Left arm, left gripper, right arm, right gripper: 14 signals with six joints per arm, 16 with seven."""
    return [f"{name}.pos" for side in SIDES for name in (*arm_joints(side, count), f"{side}_gripper")]


def in_mm(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns with grippers in mm. Their names lack `.pos`: with it, they are this project's, 0 to 1."""
    scale, offset = CONVENTIONS["mm"]
    return tuple(
        replace(column, name=column.name.removesuffix(".pos"), scale=scale, offset=offset, aliases=())
        if "gripper" in column.signal
        else column
        for column in columns
    )


def _arms_only(contract: RobotContract, count: int) -> list[Layout]:
    """Both arms and grippers and nothing else, as vectors of one state and one action."""
    columns = columns_of(arms_and_grippers(count))
    width, robot_type = len(columns), contract.robot_type
    return [
        Layout(
            f"arms_{width}", robot_type, in_mm(columns), in_mm(columns), "Both arms; grippers 0 to 100 mm."
        ),
        Layout(f"arms_{width}_unit", robot_type, columns, columns, "Both arms; grippers 0 to 1."),
    ]


def _rlds_26(robot_type: str) -> Layout:
    """The Open-World set. It calls the arms' actions velocities; its loader takes them as targets."""
    arms = in_mm(columns_of(arms_and_grippers(6)))
    return Layout(
        "rlds_26",
        robot_type,
        arms,
        (*arms, *columns_of((*TORSO_TWIST, *BASE_TWIST))),
        "Galaxea Open-World in RLDS: both arms, then twists of torso and base; grippers 0 to 100 mm.",
    )


def _robocoin(robot_type: str) -> list[Layout]:
    """RoboCOIN's R1 Lite sets (its issue 33). The second: seven numbers per arm, grippers at the end."""

    def arm(side: str, count: int) -> list[Column]:
        return [Column(f"{side}_arm_{i}", f"{side}_arm_joint{i}.pos") for i in range(1, count + 1)]

    def gripper(side: str, scale: float) -> Column:
        return Column(f"{side}_gripper", f"{side}_gripper.pos", scale)

    mm = CONVENTIONS["mm"][0]
    v1 = tuple(column for side in SIDES for column in (*arm(side, 6), gripper(side, 1.0)))
    v2 = (*arm("left", 7), *arm("right", 7), gripper("left", mm), gripper("right", mm))
    unnamed = tuple(Column(f"unnamed_{i}", f"unnamed_{i}.pos") for i in (16, 17))
    return [
        Layout("robocoin_v1", robot_type, v1, v1, "RoboCOIN r1_lite: grippers 0 to 1."),
        Layout(
            "robocoin_v2",
            robot_type,
            v2,
            (*v2, *unnamed),
            "RoboCOIN r1_lite_v2: grippers 0 to 100 at the end; the action's last two are unexplained.",
        ),
    ]


def _behavior_23() -> Layout:
    """BEHAVIOR-1K's R1 Pro as the real one: grippers are a width in the state, -1 to 1 in the action."""

    def columns(names: list[str], gripper: tuple[float, float]) -> tuple[Column, ...]:
        signals = [name.replace("arm_", "arm_joint").replace("torso_", "torso_joint") for name in names]
        return tuple(
            Column(name, signal, *(gripper if "gripper" in name else (1.0, 0.0)))
            for name, signal in zip(names, signals, strict=True)
        )

    return Layout(
        "behavior1k_23",
        GALAXEA_R1_PRO.robot_type,
        columns(r1pro.STATE_NAMES, (1 / GRIPPER_WIDTH, 0.0)),
        columns(r1pro.ACTION_NAMES, CONVENTIONS["behavior"]),
        "BEHAVIOR-1K's state and action of 23, for the real robot.",
        ask=True,
    )


def _plugin(contract: RobotContract) -> Layout:
    return contract_layout(contract, "plugin", "What this project's plugin records.")


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "galaxea_r1": (_plugin(GALAXEA_R1), *_arms_only(GALAXEA_R1, 6)),
    "galaxea_r1_lite": (
        _plugin(GALAXEA_R1_LITE),
        *_arms_only(GALAXEA_R1_LITE, 6),
        _rlds_26("galaxea_r1_lite"),
        *_robocoin("galaxea_r1_lite"),
    ),
    "galaxea_r1_pro": (_plugin(GALAXEA_R1_PRO), *_arms_only(GALAXEA_R1_PRO, 7), _behavior_23()),
}
