"""Geometry from recorded depth: back-projection, exact and without weights.

Legend: B pictures, H W picture size.
"""

from typing import ClassVar

from torch import Tensor

from lerobot_policy_pi05_comet.vlm2.geometry.base import (
    Geometry,
    GeometryEncoder,
    back_project,
    field_of_view,
    patch_features,
)

GRID, PER_SIDE = 16, 4


def geometry_of_depth(depth_BHW: Tensor, intrinsics_B4: Tensor) -> Geometry:
    """Points of each pixel; features are the mean points of 4 x 4 parts of each of 16 x 16 patches."""
    point_BHW3, valid_BHW = back_project(depth_BHW.float(), intrinsics_B4.float())
    return Geometry(
        features_BhwG=patch_features(point_BHW3, valid_BHW, GRID, PER_SIDE),
        view_BY=field_of_view(intrinsics_B4.float(), *depth_BHW.shape[-2:]),
        point_BHW3=point_BHW3,
        valid_BHW=valid_BHW,
    )


class DepthGeometry(GeometryEncoder):
    """`depth`: what a depth camera or a simulator has recorded."""

    widths: ClassVar = (4 * PER_SIDE**2, 4)
    needs_depth: ClassVar = True
    needs_intrinsics: ClassVar = True

    def forward(
        self, picture_B3HW: Tensor, depth_BHW: Tensor | None, intrinsics_B4: Tensor | None
    ) -> Geometry:
        assert depth_BHW is not None
        assert intrinsics_B4 is not None
        return geometry_of_depth(depth_BHW, intrinsics_B4)
