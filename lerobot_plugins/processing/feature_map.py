"""The whole map of one feature between raw and normalised units: scale, clip, grippers."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.affine import Affine
from lerobot_plugins.processing.grippers import GripperMap


@dataclass(frozen=True)
class FeatureMap:
    """Raw <-> normalised, per dimension.

    Args:
        affine: Scale of every dimension; what it says of grippers is not used.
        grippers: Dimensions that become 0 closed ... 1 open instead. They come last, so that a gripper which
            never moved in the training set keeps its value.
        clip: Whether normalised values are clipped to [-1, 1].
    """

    affine: Affine
    grippers: tuple[GripperMap, ...] = field(default=())
    clip: bool = False

    def __post_init__(self) -> None:
        beyond = [gripper.dim for gripper in self.grippers if gripper.dim >= self.width]
        if beyond:
            raise ZooError(
                "a gripper is in a dimension that the data does not have",
                got=f"dimension {beyond[0]}",
                expected=f"one of the {self.width} dimensions, from 0 on",
                do="choose the robot of this dataset, or name the right dimension",
            )

    @property
    def width(self) -> int:
        """Number of dimensions."""
        return len(self.affine.offset)

    def forward(self, x: Tensor) -> Tensor:
        """Raw (..., D) to normalised, float32."""
        y = self.affine.forward(x)
        if self.clip:
            y = y.clamp(-1.0, 1.0)
        return self._with_grippers(y, [gripper.forward(x[..., gripper.dim]) for gripper in self.grippers])

    def inverse(self, y: Tensor) -> Tensor:
        """Normalised (..., D) to raw, float32."""
        x = self.affine.inverse(y)
        return self._with_grippers(x, [gripper.inverse(y[..., gripper.dim]) for gripper in self.grippers])

    def _with_grippers(self, values: Tensor, columns: list[Tensor]) -> Tensor:
        if not columns:
            return values
        dims = torch.tensor([gripper.dim for gripper in self.grippers], device=values.device)
        return values.index_copy(-1, dims, torch.stack(columns, dim=-1))
