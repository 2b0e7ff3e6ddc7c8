"""Which parts of a robot the dimensions of an action move, as far as their names tell.

`left_arm_3.pos` moves the left arm, `shoulder_pan.pos` and LIBERO's `drx` the arm, `base_x.vel` the base.
What a name does not tell is "other"; nothing is guessed from positions.
"""

import re
from collections.abc import Sequence

PARTS = ("base", "torso", "head", "arm", "left arm", "right arm", "grippers", "hands")
OTHER = "other"

_WORDS = {
    "legs": {"leg", "hip", "knee", "ankle", "foot"},
    "hands": {"hand", "finger", "thumb"},
    "base": {"base", "wheel"},
    "torso": {"torso", "trunk", "waist", "spine"},
    "head": {"head", "neck"},
    # Joints of an arm, and the motion of its end.
    "arm": {"arm", "shoulder", "elbow", "forearm", "wrist"}
    | {"eef", "dx", "dy", "dz", "drx", "dry", "drz", "x", "y", "z", "rx", "ry", "rz", "roll", "pitch", "yaw"},
}  # fmt: skip
# What the wheels of a small base are asked for (LeKiwi).
_BASE_VELOCITIES = {"x.vel", "y.vel", "theta.vel"}


def part_of(name: str) -> str:
    """The part of a robot that a dimension of this name moves."""
    name = name.lower()
    if "gripper" in name:
        return "grippers"
    if name in _BASE_VELOCITIES:
        return "base"
    words = set(re.split(r"[^a-z]+", name))
    if words & _WORDS["legs"]:
        return OTHER
    if words & _WORDS["hands"]:
        return "hands"
    # Before the torso: an arm may have a waist of its own.
    for side in ("left", "right"):
        if side in words:
            return f"{side} arm"
    return next((part for part in ("base", "torso", "head", "arm") if words & _WORDS[part]), OTHER)


def action_groups(names: Sequence[str]) -> dict[str, list[int]] | None:
    """The dimensions of each part, in the order of `PARTS` and then "other".

    None where the names tell of fewer than two parts: a group would only repeat the whole.
    """
    parts = [part_of(name) for name in names]
    groups = {
        part: [dimension for dimension, found in enumerate(parts) if found == part]
        for part in (*PARTS, OTHER)
        if part in parts
    }
    return groups if len(groups.keys() - {OTHER}) > 1 else None
