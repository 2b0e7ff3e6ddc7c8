"""What every geometry encoder gives, and the camera model.

Points are in the camera's frame: x to the right, y down, z forward, in metres, for picture coordinates (u, v)

    x = (u - cx) * z / fx       y = (v - cy) * z / fy

Legend: B pictures, H W picture size, h w the encoder's grid, G width of its features, Y width of its view.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_plugins.nn.precision import no_autocast


@dataclass(frozen=True)
class Geometry:
    """Geometry of pictures.

    Attributes:
        features_BhwG: Features on the encoder's grid.
        view_BY: Where the camera stands or how it looks, one vector for each picture.
        point_BHW3: A point for each pixel, in metres; zero where unknown.
        valid_BHW: False where the point is unknown.
    """

    features_BhwG: Tensor
    view_BY: Tensor
    point_BHW3: Tensor
    valid_BHW: Tensor


class GeometryEncoder(nn.Module):
    """From square pictures to `Geometry`. Has no trainable weights; pretrained ones are `Held`."""

    widths: ClassVar[tuple[int, int]]  # G, Y
    needs_depth: ClassVar[bool] = False
    needs_intrinsics: ClassVar[bool] = False

    def forward(
        self, picture_B3HW: Tensor, depth_BHW: Tensor | None, intrinsics_B4: Tensor | None
    ) -> Geometry:
        """Geometry of pictures in [0, 1].

        Args:
            picture_B3HW: RGB, not augmented.
            depth_BHW: Metres, for encoders that need it; 0, negative or not finite where unknown.
            intrinsics_B4: fx, fy, cx, cy in pixels of the depth, or of the picture where there is no depth.
        """
        raise NotImplementedError


class Held:
    """A frozen network that is no part of the policy: not stored, not trained, not averaged.

    It is loaded at its first use and follows the tensors it is given to their device; always in evaluation
    mode and without gradients.
    """

    def __init__(self, load: Callable[[], nn.Module]) -> None:
        self._load = load
        self._network: nn.Module | None = None

    def __call__(self, picture_B3HW: Tensor) -> nn.Module:
        """The network, where the pictures are."""
        if self._network is None:
            self._network = self._load().eval().requires_grad_(False)
        self._network = self._network.to(picture_B3HW.device)
        return self._network

    def __deepcopy__(self, memo: dict) -> "Held":
        """Itself: nothing of it changes, and a server copies its policy for each session."""
        return self


def back_project(depth_BHW: Tensor, intrinsics_B4: Tensor) -> tuple[Tensor, Tensor]:
    """Points (B, H, W, 3) of a depth picture and which are known (B, H, W)."""
    valid_BHW = torch.isfinite(depth_BHW) & (depth_BHW > 0)
    z_BHW = torch.where(valid_BHW, depth_BHW, 0.0)
    height, width = depth_BHW.shape[-2:]
    fx, fy, cx, cy = (value[:, None, None] for value in intrinsics_B4.unbind(-1))
    u_W = torch.arange(width, device=z_BHW.device, dtype=z_BHW.dtype)
    v_H1 = torch.arange(height, device=z_BHW.device, dtype=z_BHW.dtype)[:, None]
    return torch.stack([(u_W - cx) * z_BHW / fx, (v_H1 - cy) * z_BHW / fy, z_BHW], dim=-1), valid_BHW


def mean_points(point_BHW3: Tensor, valid_BHW: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Mean of the known points in each cell of a square grid, (B, s, s, 3), and the share of known ones."""
    known = valid_BHW[:, None].to(point_BHW3.dtype)
    total = F.adaptive_avg_pool2d(point_BHW3.permute(0, 3, 1, 2) * known, side)
    share = F.adaptive_avg_pool2d(known, side)
    return (total / share.clamp(min=1e-6)).permute(0, 2, 3, 1), share[:, 0]


def patch_features(point_BHW3: Tensor, valid_BHW: Tensor, side: int, per_side: int = 4) -> Tensor:
    """Each cell of a square grid as `per_side`^2 mean points and shares of known pixels, without weights.

    Returns:
        (B, side, side, 4 * per_side^2)
    """
    point, share = mean_points(point_BHW3, valid_BHW, side * per_side)
    values = torch.cat([point, share[..., None]], dim=-1)
    cells = values.unflatten(1, (side, per_side)).unflatten(3, (side, per_side))
    return cells.permute(0, 1, 3, 2, 4, 5).flatten(3)


def field_of_view(intrinsics_B4: Tensor, height: int, width: int) -> Tensor:
    """Intrinsics without pixels, (B, 4): focal lengths and centre as shares of width and height."""
    return intrinsics_B4 / intrinsics_B4.new_tensor([width, height, width, height])


def on_grid(geometry: Geometry, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features (B, s, s, G), points (B, s, s, 3) and which are known (B, s, s) on the tokens' grid."""
    features = geometry.features_BhwG.float()
    if features.shape[1:3] != (side, side):
        resized = F.interpolate(
            features.permute(0, 3, 1, 2), size=(side, side), mode="bilinear", align_corners=False
        )
        features = resized.permute(0, 2, 3, 1)
    point, share = mean_points(geometry.point_BHW3.float(), geometry.valid_BHW, side)
    return features, point, share > 0


def squared(values_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Pictures centred on a square of zeros, as `image_resize=pad` does, and their (top, left) there."""
    height, width = values_BCHW.shape[-2:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return F.pad(values_BCHW, (left, side - width - left, top, side - height - top)), (top, left)


def resized(picture_B3HW: Tensor, side: int) -> Tensor:
    """Pictures (B, 3, s, s), bilinear and antialiased."""
    with no_autocast(picture_B3HW.device):
        return F.interpolate(
            picture_B3HW.float(), size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
