"""Numbers as LeRobot's commands hand them to a robot: floats, numpy scalars, tensors without dimensions."""

import math
from numbers import Real
from typing import Any

from lerobot_plugins.errors import ZooError


def as_number(value: Any, name: str) -> float:
    """A finite float from a number, or from an array or tensor of shape ().

    Args:
        value: The number.
        name: Of which signal, for the message.

    Raises:
        ZooError: It is no single real number, or not finite.
    """
    number = value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        number = value.item()
    if isinstance(number, bool) or not isinstance(number, Real):
        shape = getattr(value, "shape", None)
        raise ZooError(
            f"{name} is no number",
            got=f"{type(value).__name__} of shape {tuple(shape)}"
            if shape
            else f"{type(value).__name__} {value!r}",
            expected="one real number",
        )
    try:
        number = float(number)
    except OverflowError:  # an integer beyond any float
        number = math.inf
    if not math.isfinite(number):
        raise ZooError(f"{name} is not finite", got=number, expected="a finite number")
    return number
