"""Grippers between what robots record or obey and one unit: 0 is closed, 1 is open.

    convention         raw                          to the unit          back
    negative_is_open   -1 opens, +1 closes (LIBERO) 1 - clip(x, 0, 1)    -sign(2 g - 1)
    positive_is_open   -1 closes, +1 opens (CALVIN) clip(x, 0, 1)        sign(2 g - 1)
    unit               0 closed to 1 open           clip(x, 0, 1)        clip(g, 0, 1)
    percent            0 closed to 100 open         clip(x / 100, 0, 1)  100 clip(g, 0, 1)
    threshold          open above a threshold       x > threshold        g: a state, not a command

The formulas are those of published waypoint checkpoints; a unit of exactly one half commands 0.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import Tensor

from lerobot_plugins.errors import ZooError

COMMANDS = ("negative_is_open", "positive_is_open", "unit", "percent")
THRESHOLD = "threshold"
CONVENTIONS = (*COMMANDS, THRESHOLD)


@dataclass(frozen=True)
class GripperMap:
    """One dimension that is a gripper.

    Args:
        dim: Which dimension of its feature.
        convention: One of `CONVENTIONS`.
        threshold: In raw units; exactly for `threshold`.

    Raises:
        ZooError: The convention is unknown, or the threshold does not go with it.
    """

    dim: int
    convention: str
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.convention not in CONVENTIONS:
            raise ZooError(
                "unknown gripper convention", got=self.convention, expected=" or ".join(CONVENTIONS)
            )
        if (self.threshold is not None) != (self.convention == THRESHOLD) or self.dim < 0:
            raise ZooError(
                "a gripper is described wrongly",
                got=f"dim={self.dim}, convention={self.convention}, threshold={self.threshold}",
                expected="a dimension from 0 on, and a threshold exactly with the convention 'threshold'",
            )

    def forward(self, x: Tensor) -> Tensor:
        """Raw values to 0 closed ... 1 open, float32."""
        x = x.float()
        if self.convention == THRESHOLD:
            return (x > self.threshold).float()
        if self.convention == "percent":
            x = x / 100.0
        unit = x.clamp(0.0, 1.0)
        return 1.0 - unit if self.convention == "negative_is_open" else unit

    def inverse(self, g: Tensor) -> Tensor:
        """0 closed ... 1 open to raw commands, float32; states of `threshold` stay in the unit."""
        g = g.float()
        if self.convention == THRESHOLD:
            return g
        if self.convention.endswith("_is_open"):
            sign = (2.0 * g - 1.0).sign()
            return -sign if self.convention == "negative_is_open" else sign
        return g.clamp(0.0, 1.0) * (100.0 if self.convention == "percent" else 1.0)

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint's JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "GripperMap":
        """What `to_dict` described.

        Raises:
            ZooError: A field is missing or unknown.
        """
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            raise ZooError("a gripper is described wrongly", got=sorted(values), expected=sorted(expected))
        return cls(**values)
