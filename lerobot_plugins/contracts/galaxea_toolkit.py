"""Datasets of Galaxea's own LeRobot toolkit: state and action spread over many features.

`observation.state.left_arm`, `.left_gripper`, `.torso`, `action.chassis.velocities` ... Which there are and
how wide they are differs between versions of the toolkit (arms of 7 numbers of which 6 count, a chassis of 3
or of 6), so the layout is made from the dataset's own features. Its vectors begin with left arm, left
gripper, right arm, right gripper; `Layout.assemble` joins them. Grippers are 0 to 100 mm, actions of the arms
are absolute.

Source: OpenGalaxea/GalaxeaLeRobotToolkit (f0f33f3, Apache-2.0).
"""

from collections.abc import Mapping
from typing import Any

from lerobot_plugins.contracts.galaxea_layouts import BASE_TWIST, TORSO_TWIST, in_mm
from lerobot_plugins.contracts.galaxea_r1 import BASE_NAMES, SIDES
from lerobot_plugins.contracts.layout import Column, Kind, Layout

NAME = "toolkit"
_PREFIX: dict[Kind, str] = {"state": "observation.state.", "action": "action."}
_FIRST = tuple(f"{side}_{part}" for side in SIDES for part in ("arm", "gripper"))
_THEN = (
    "torso",
    "torso.velocities",
    *(f"{side}_arm.velocities" for side in SIDES),
    "chassis.velocities",
    "chassis",
    "chassis.imu",
    *(f"{side}_ee_pose" for side in SIDES),
)


def toolkit_layout(features: Mapping[str, Mapping[str, Any]], robot_type: str) -> Layout | None:
    """The layout of a dataset of the toolkit.

    Args:
        features: Of the dataset, as `meta/info.json` has them.
        robot_type: `galaxea_r1`, `galaxea_r1_lite` or `galaxea_r1_pro`.

    Returns:
        Its layout, or None if an arm or a gripper is missing: then it is no such dataset.
    """
    state, action = _columns("state", features), _columns("action", features)
    if state is None or action is None:
        return None
    return Layout(
        NAME,
        robot_type,
        state,
        action,
        "Galaxea's LeRobot toolkit: a feature per part; grippers 0 to 100 mm.",
    )


def arm_width(features: Mapping[str, Mapping[str, Any]]) -> int | None:
    """How many joints the commanded arm has, which tells R1 Pro (7) from the others (6)."""
    arm = features.get("action.left_arm")
    return None if arm is None else _width(arm)


def _width(feature: Mapping[str, Any]) -> int:
    shape = feature["shape"]
    return int(shape[0]) if len(shape) else 1


def _columns(kind: Kind, features: Mapping[str, Mapping[str, Any]]) -> tuple[Column, ...] | None:
    if any(_PREFIX[kind] + part not in features for part in _FIRST):
        return None
    columns: list[Column] = []
    for part in (*_FIRST, *_THEN):
        key = _PREFIX[kind] + part
        if key in features:
            signals = _signals(kind, part, _width(features[key]))
            columns += [Column(signal, signal, feature=key) for signal in signals]
    return in_mm(columns)


def _signals(kind: Kind, part: str, width: int) -> list[str]:
    """Signals of a feature. What the contracts do not have gets a name of its own; conversions drop it."""
    group, _, rest = part.partition(".")
    if "gripper" in part:
        return [f"{part}.pos"]
    if kind == "action" and part == "torso.velocities" and width == len(TORSO_TWIST):
        return list(TORSO_TWIST)
    if kind == "action" and part == "chassis.velocities" and width in (3, 6):
        return list(BASE_NAMES if width == 3 else BASE_TWIST)
    suffix = "vel" if rest == "velocities" else "pos"
    if group.endswith("_arm") or group == "torso":
        return [f"{group}_joint{i}.{suffix}" for i in range(1, width + 1)]
    # The chassis measures its wheels (steering angles, speeds), not the base's velocity.
    return [f"{part.replace('.', '_')}_{i}.{suffix}" for i in range(width)]
