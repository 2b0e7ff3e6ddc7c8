"""The GR-2's hand in the two spaces in which it is recorded: the URDF's joint angles and the SDK's.

Both are radians. Fingers: SDK = 0.17 - URDF; pitch of the thumb: SDK = URDF + 0.12; its yaw: SDK = -URDF. In
the URDF fingers bend from 0 down to -1.59, in the SDK from about 0.2 up to 1.7, so the sign of the fingers'
median tells which one a recording is in. Source: converter and deployment scripts of the datasets' author.
"""

from typing import Literal

import numpy as np

from lerobot_plugins.contracts.fourier_gr2_joints import FINGERS, SIDES, THUMB, hand_joints
from lerobot_plugins.contracts.layout import Layout, Values, rescaled
from lerobot_plugins.errors import ZooError

HandSpace = Literal["urdf", "sdk"]

#: Joints of one hand in the SDK's order.
ORDER = (*(f"{finger}_proximal" for finger in FINGERS), *THUMB)
FINGER_OFFSET = 0.17
THUMB_PITCH_OFFSET = 0.12
# URDF = sign * SDK + offset; being their own kind of inverse, SDK = sign * (URDF - offset).
_SIGN = np.array([-1.0, -1.0, -1.0, -1.0, 1.0, -1.0])
_OFFSET = np.array([*[FINGER_OFFSET] * 4, -THUMB_PITCH_OFFSET, 0.0])

#: What the hand obeys, in the SDK's space and order. The author does not clip the thumb's yaw; its URDF does.
SDK_LOWER = np.zeros(6)
SDK_UPPER = np.array([*[1.9226667] * 4, 1.5, 1.696])
#: The open hand and the fist, in the SDK's space and order. The fist's thumb lies 0.12 rad beyond the URDF's
#: limit: clamp commands in the SDK's space, after converting.
SDK_OPEN = np.array([0.2, 0.2, 0.2, 0.2, 1.2, 0.0])
SDK_FIST = np.array([1.7, 1.7, 1.7, 1.7, 0.0, 0.0])


def to_sdk(urdf: Values) -> Values:
    """One hand from the URDF's space to the SDK's.

    Args:
        urdf: (..., 6) rad: four fingers in any order, then the thumb's pitch and yaw. NumPy or torch.

    Returns:
        (..., 6) rad, fingers in the order given.

    Raises:
        ZooError: The last dimension is not 6.
    """
    _check(urdf)
    return (urdf - _like(_OFFSET, urdf)) * _like(_SIGN, urdf)


def to_urdf(sdk: Values) -> Values:
    """The inverse of `to_sdk`."""
    _check(sdk)
    return sdk * _like(_SIGN, sdk) + _like(_OFFSET, sdk)


def clamp_sdk(sdk: Values) -> Values:
    """One hand, (..., 6) in the SDK's space, within what the hand obeys."""
    _check(sdk)
    if isinstance(sdk, np.ndarray):
        return np.clip(sdk, _like(SDK_LOWER, sdk), _like(SDK_UPPER, sdk))
    return sdk.clamp(_like(SDK_LOWER, sdk), _like(SDK_UPPER, sdk))


def guess_space(fingers: np.ndarray) -> HandSpace | None:
    """The space of recorded fingers (not thumbs), by the sign of their median; None if it does not tell."""
    median = float(np.median(fingers))
    if median <= 0:
        return "urdf"
    return "sdk" if median > 0.1 else None


def with_sdk_hands(layout: Layout) -> Layout:
    """The layout with both hands recorded in the SDK's space; it must be asked for by name."""
    scales = {
        f"{joint}.pos": (float(sign), float(offset))
        for side in SIDES
        for joint, sign, offset in zip(hand_joints(side), _SIGN, _OFFSET, strict=True)
    }
    about = f"{layout.name} with hands as the Aurora SDK has them."
    return rescaled(layout, f"{layout.name}_sdk_hands", scales, about)


def _like(constant: np.ndarray, values: Values) -> Values:
    return constant.astype(values.dtype) if isinstance(values, np.ndarray) else values.new_tensor(constant)


def _check(values: Values) -> None:
    if values.shape[-1:] != (6,):
        raise ZooError(
            "a hand has another length", got=tuple(values.shape), expected=f"(..., 6): {', '.join(ORDER)}"
        )
