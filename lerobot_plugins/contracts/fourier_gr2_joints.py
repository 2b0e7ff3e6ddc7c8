"""Joints of the Fourier GR-2: names, orders and limits.

From the URDF `gr2t2v2` with the hand of six degrees of freedom (fourier-robot-descriptions, Apache-2.0);
`gr2v3_8_7` says the same. The older `gr2t2` is narrower at shoulder pitch, elbow and head pitch: limit those
in the robot's configuration if yours is one.
"""

from lerobot_plugins.contracts.joints import Joint, symmetric

SIDES = ("left", "right")
#: One arm from the shoulder outwards. Other recordings have the wrist as yaw, roll, pitch: map by name.
ARM = (
    "shoulder_pitch",
    "shoulder_roll",
    "shoulder_yaw",
    "elbow_pitch",
    "wrist_yaw",
    "wrist_pitch",
    "wrist_roll",
)
LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee_pitch", "ankle_pitch", "ankle_roll")
FINGERS = ("index", "middle", "ring", "pinky")
THUMB = ("thumb_proximal_pitch", "thumb_proximal_yaw")
HEAD_JOINTS = ("head_yaw_joint", "head_pitch_joint")
WAIST_JOINTS = ("waist_yaw_joint",)
#: Recorded by tools that also serve GR-3; a GR-2 has no such joints.
ABSENT_JOINTS = ("waist_roll_joint", "waist_pitch_joint")

# Of the left side; "mirrored" ones are reversed on the right.
_ARM_LIMITS = {
    "shoulder_pitch": symmetric(2.9671, 7.7568, 74.45),
    "shoulder_roll": Joint(-0.5236, 2.7925, 7.7568, 74.45),
    "shoulder_yaw": symmetric(1.8326, 6.283, 42.75),
    "elbow_pitch": Joint(-1.5272, 0.47997, 6.283, 42.75),
    "wrist_yaw": symmetric(1.8326, 9.1627, 17.325),
    "wrist_pitch": symmetric(0.61087, 9.1627, 17.325),
    "wrist_roll": symmetric(0.95993, 9.1627, 17.325),
}
_LEG_LIMITS = {
    "hip_pitch": symmetric(2.618, 6.4997, 366.05),
    "hip_roll": Joint(-0.59341, 1.5708, 12.362, 95.472),
    "hip_yaw": Joint(-0.69813, 1.5708, 14.745, 54.33),
    "knee_pitch": Joint(-0.087266, 2.3562, 6.4997, 366.05),
    "ankle_pitch": symmetric(0.7854, 14.745, 54.33),
    "ankle_roll": symmetric(0.38397, 16.755, 29.835),
}
_MIRRORED = ("shoulder_roll", "hip_roll", "hip_yaw")
_HAND_LIMITS = {
    "index_proximal": Joint(-1.592, 0.0),
    "middle_proximal": Joint(-1.593, 0.0),
    "ring_proximal": Joint(-1.593, 0.0),
    "pinky_proximal": Joint(-1.592, 0.0),
    "thumb_proximal_pitch": Joint(0.0, 1.143),
    "thumb_proximal_yaw": Joint(-1.696, 0.0),
}


def arm_joints(side: str) -> tuple[str, ...]:
    """The seven joints of an arm, `left` or `right`, from the shoulder outwards."""
    return tuple(f"{side}_{part}_joint" for part in ARM)


def leg_joints(side: str) -> tuple[str, ...]:
    """The six joints of a leg, from the hip downwards."""
    return tuple(f"{side}_{part}_joint" for part in LEG)


def hand_joints(side: str, *, reverse_fingers: bool = False) -> tuple[str, ...]:
    """The six driven joints of a hand: index to pinky, then the thumb, in the SDK's order.

    Args:
        side: `left` or `right`.
        reverse_fingers: Pinky to index, as raw recordings (and the actions of `v1_37`) have them.
    """
    fingers = FINGERS[::-1] if reverse_fingers else FINGERS
    parts = [*(f"{finger}_proximal" for finger in fingers), *THUMB]
    return tuple(f"{side[0].upper()}_{part}_joint" for part in parts)


def _all_joints() -> dict[str, Joint]:
    joints = {
        "waist_yaw_joint": symmetric(2.618, 7.7568, 74.45),
        "head_yaw_joint": symmetric(1.3963, 9.1627, 17.325),
        "head_pitch_joint": symmetric(0.5236, 9.1627, 17.325),
    }
    for side in SIDES:
        for part, limits in {**_ARM_LIMITS, **_LEG_LIMITS}.items():
            mirror = side == "right" and part in _MIRRORED
            joints[f"{side}_{part}_joint"] = limits.mirrored() if mirror else limits
        for part, limits in _HAND_LIMITS.items():
            joints[f"{side[0].upper()}_{part}_joint"] = limits
    return joints


#: Every driven joint -> limits; the hands in the URDF's space (see `hands` for the SDK's).
JOINTS: dict[str, Joint] = _all_joints()
