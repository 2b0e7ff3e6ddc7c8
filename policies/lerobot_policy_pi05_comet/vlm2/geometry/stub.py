"""A geometry for tests: cheap, deterministic, a function of the picture, without weights or files."""

from typing import ClassVar

import torch
from torch import Tensor

from lerobot_policy_pi05_comet.vlm2.geometry.base import (
    Geometry,
    GeometryEncoder,
    patch_features,
    resized,
)

SIDE = 32


class StubGeometry(GeometryEncoder):
    """`stub`: brightness read as depth, from half a metre to one and a half, seen by a 90 degree camera."""

    widths: ClassVar = (4, 3)

    def forward(
        self, picture_B3HW: Tensor, depth_BHW: Tensor | None, intrinsics_B4: Tensor | None
    ) -> Geometry:
        picture = resized(picture_B3HW, SIDE)
        z = 0.5 + picture.mean(dim=1)
        place = (torch.arange(SIDE, device=z.device) + 0.5) / SIDE * 2 - 1
        point = torch.stack([place * z, place[:, None] * z, z], dim=-1)
        valid = torch.ones_like(z, dtype=torch.bool)
        return Geometry(patch_features(point, valid, 8, 1), picture.mean(dim=(2, 3)), point, valid)
