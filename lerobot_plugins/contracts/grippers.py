"""What recordings call the opening of a parallel gripper, and the unit that they mean: 0 closed, 1 open."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from lerobot_plugins.contracts.layout import KINDS, Kind, Layout, Values, rescaled
from lerobot_plugins.errors import ZooError

Convention = Literal["unit", "mm", "finger_m", "width_m", "behavior", "closed_1"]

#: Convention -> (scale, offset): unit = scale * recorded + offset. Galaxea's gripper opens by 100 mm.
CONVENTIONS: Mapping[Convention, tuple[float, float]] = {
    "unit": (1.0, 0.0),  # 0 closed, 1 open: this project's robots, RoboCOIN's first R1 Lite sets
    "mm": (0.01, 0.0),  # 0 closed, 100 open: on the wire, Galaxea's own sets
    "finger_m": (20.0, 0.0),  # one finger's way, 0 to 0.05 m: URDF joints
    "width_m": (10.0, 0.0),  # both fingers' way, 0 to 0.1 m: the state in BEHAVIOR-1K
    "behavior": (0.5, 0.5),  # -1 closed, 1 open: the action in BEHAVIOR-1K
    "closed_1": (-1.0, 1.0),  # 0 open, 1 closed: BEHAVIOR Robot Suite
}
GRIPPERS = ("left_gripper.pos", "right_gripper.pos")


def to_unit(recorded: Values, convention: Convention) -> Values:
    """Recorded openings, (...,), as 0 closed to 1 open; what lies beyond is cut off.

    Raises:
        ZooError: Unknown convention.
    """
    scale, offset = _convention(convention)
    unit = recorded * scale + offset
    return np.clip(unit, 0, 1) if isinstance(unit, np.ndarray) else unit.clamp(0, 1)


def from_unit(unit: Values, convention: Convention) -> Values:
    """The inverse of `to_unit`; what lies beyond 0 and 1 is cut off first."""
    scale, offset = _convention(convention)
    within = np.clip(unit, 0, 1) if isinstance(unit, np.ndarray) else unit.clamp(0, 1)
    return (within - offset) / scale


def with_grippers(
    layout: Layout,
    convention: Convention,
    name: str | None = None,
    about: str = "",
    kinds: tuple[Kind, ...] = KINDS,
) -> Layout:
    """The layout with both grippers recorded in another convention; it must be asked for by name.

    Args:
        layout: A layout of a Galaxea robot.
        convention: One of `CONVENTIONS`.
        name: Of the new layout; by default `<layout>_<convention>`.
        about: Who records so.
        kinds: Where the convention is used: state, action, or both.
    """
    scales = dict.fromkeys(GRIPPERS, _convention(convention))
    return rescaled(
        layout,
        name or f"{layout.name}_{convention}",
        scales,
        about or f"{layout.name} with grippers as {convention}.",
        kinds,
    )


def _convention(convention: Convention) -> tuple[float, float]:
    if convention not in CONVENTIONS:
        raise ZooError("unknown gripper convention", got=convention, expected=" or ".join(CONVENTIONS))
    return CONVENTIONS[convention]
