"""Between the contract's signals and the vectors of Aurora's client: order, names, the space of the hands."""

from collections.abc import Mapping, Sequence

import numpy as np

from lerobot_plugins.contracts.fourier_gr2 import COMMANDED_GROUPS, SDK_GROUPS, SDK_HANDS, pack, unpack
from lerobot_plugins.contracts.hands import clamp_sdk, to_sdk, to_urdf
from lerobot_plugins.contracts.joints import bare
from lerobot_plugins.errors import ZooError

#: What the client calls the measurements of base and IMU -> signals of the state, in order.
BASE_PARTS: dict[str, tuple[str, ...]] = {
    "pos_W": ("base_pos_x.pos", "base_pos_y.pos", "base_pos_z.pos"),
    "quat_xyzw": ("base_quat_x.pos", "base_quat_y.pos", "base_quat_z.pos", "base_quat_w.pos"),
    "rpy": ("base_rpy_roll.pos", "base_rpy_pitch.pos", "base_rpy_yaw.pos"),
    "acc_B": ("imu_acc_x.vel", "imu_acc_y.vel", "imu_acc_z.vel"),
    "omega_B": ("imu_omega_x.vel", "imu_omega_y.vel", "imu_omega_z.vel"),
}


def measured(groups: Mapping[str, Sequence[float]], base: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Signal -> value from what the client heard.

    Args:
        groups: Each of the six commanded groups -> positions, rad, hands in the SDK's space.
        base: Each of `BASE_PARTS` -> values.

    Returns:
        Hands in the URDF's space. Values may be non-finite: `safety` refuses those by name.

    Raises:
        ZooError: A vector of another length, with its name.
    """
    for group in COMMANDED_GROUPS:
        _check_width(f"group {group}", groups[group], SDK_GROUPS[group])
    for part, names in BASE_PARTS.items():
        _check_width(f"base data {part}", base[part], names)
    in_urdf = {
        group: to_urdf(np.array(groups[group], dtype=float)).tolist() if group in SDK_HANDS else groups[group]
        for group in COMMANDED_GROUPS
    }
    signals = {f"{joint}.pos": value for joint, value in unpack(in_urdf).items()}
    for part, names in BASE_PARTS.items():
        signals |= zip(names, map(float, base[part]), strict=True)
    return signals


def commanded(targets: Mapping[str, float]) -> dict[str, list[float]]:
    """The six groups' vectors from targets of all their joints.

    Args:
        targets: Signal -> target, rad, hands in the URDF's space; signals of the base are left out.

    Returns:
        Group -> floats in the SDK's order, hands in the SDK's space and within what they obey there.

    Raises:
        ZooError: A joint is missing or unknown.
    """
    joints = {bare(name): value for name, value in targets.items() if not name.startswith("base_")}
    vectors = pack(joints)
    for hand in SDK_HANDS:
        vectors[hand] = clamp_sdk(to_sdk(np.array(vectors[hand]))).tolist()
    return vectors


def _check_width(what: str, values: Sequence[float], names: Sequence[str]) -> None:
    if len(values) != len(names):
        raise ZooError(
            f"Aurora measures {what} in another number of values",
            got=len(values),
            expected=f"{len(names)}: {', '.join(names)}",
            do="see that the robot is a GR-2 with hands of six degrees of freedom, and its Aurora 1.3",
        )
