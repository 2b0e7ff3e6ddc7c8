"""What perception and memory take from a batch: pictures with their history, depth, padding.

A batch of a training loop has (B, K, C, H, W) pictures, the current moment last; one of an environment has
(B, C, H, W).

Legend: B rows, K moments, V cameras.
"""

from typing import Any

import torch
from torch import Tensor

from lerobot_plugins.errors import ZooError, first_names
from lerobot_policy_pi05_comet.vlm2.geometry.base import squared

MILLIMETRES = 1000.0
# Below it a depth in millimetres is a hand's width away everywhere; above it one in metres is a house away.
NEAREST_MM, FARTHEST_M = 100.0, 300.0


def moments_of(values: Tensor, dims: int) -> Tensor:
    """(B, K, ...) of values whose single moment has `dims` dimensions."""
    return values if values.ndim == dims + 2 else values[:, None]


def padded_moments(batch: dict[str, Any], camera: str, moments: int, rows: int) -> Tensor:
    """(B, K) bool: moments before the episode's start."""
    padded = batch.get(f"{camera}_is_pad")
    if padded is None or moments == 1:
        return torch.zeros(rows, moments, dtype=torch.bool, device=batch[camera].device)
    return padded.to(batch[camera].device).bool()


class SpatialInput:
    """Takes pictures, depth and intrinsics of the spatial cameras from a batch.

    Args:
        config: Of the policy, its features resolved.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self._unit_checked = False

    def __call__(self, batch: dict[str, Any], moments: slice) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Square pictures (B*K*V, 3, H, W) in [0, 1], depth (B*K*V, H, W) in metres, intrinsics (B*K*V, 4).

        Args:
            batch: Preprocessed batch.
            moments: Which moments to take.

        Raises:
            ZooError: Depth is missing, or is in another unit; cameras differ in size.
        """
        config = self._config
        pictures, depths, intrinsics = [], [], []
        for camera in config.spatial_cameras:
            picture_BK3HW = moments_of(batch[camera], 3)[:, moments].float()
            pictures.append(self._square(picture_BK3HW)[0])
            if config.camera_intrinsics is None and not config.needs_depth:
                continue
            sized = picture_BK3HW
            if config.needs_depth:
                sized = self._depth(batch, config.depth_features[camera], moments)
                depths.append(self._square(sized)[0][:, :, 0])
            shift = self._square(sized)[1]
            values = _in_pixels(config.camera_intrinsics[camera], sized.shape[-2:], shift)
            intrinsics.append(sized.new_tensor(values).expand(*sized.shape[:2], 4))
        return (
            _by_picture(pictures, config.spatial_cameras),
            _by_picture(depths, config.spatial_cameras) if depths else None,
            _by_picture(intrinsics, config.spatial_cameras) if intrinsics else None,
        )

    def _square(self, values_BKCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        if self._config.image_resize != "pad":
            return values_BKCHW, (0, 0)
        flat, shift = squared(values_BKCHW.flatten(0, 1))
        return flat.unflatten(0, values_BKCHW.shape[:2]), shift

    def _depth(self, batch: dict[str, Any], key: str, moments: slice) -> Tensor:
        if key not in batch:
            raise ZooError(
                "the policy needs depth, and the batch has none",
                got=f"keys {first_names(batch)}",
                expected=key,
                do="act in an environment that gives it, such as dataset_replay of a dataset with depth, "
                "or map its name with --rename_map",
            )
        depth = moments_of(batch[key], 3)[:, moments].float()
        if not self._unit_checked:
            self._check_unit(depth, key)
            self._unit_checked = True
        return depth / MILLIMETRES if self._config.depth_unit == "mm" else depth

    def _check_unit(self, depth: Tensor, key: str) -> None:
        """Raise if depths cannot be in the configured unit; once, because it waits for the device."""
        unit = self._config.depth_unit
        farthest = float(torch.where(torch.isfinite(depth), depth, 0).max())
        if (unit == "mm" and 0 < farthest < NEAREST_MM) or (unit == "m" and farthest > FARTHEST_M):
            other = "m" if unit == "mm" else "mm"
            raise ZooError(
                f"{key} is hardly in {unit}",
                got=f"values up to {farthest:.4g}",
                expected=f"depth in {unit}, as --policy.depth_unit says",
                do=f"pass --policy.depth_unit={other}",
            )


def _in_pixels(known: list[float], size: tuple[int, int], shift: tuple[int, int]) -> list[float]:
    """fx, fy, cx, cy of a picture of this (height, width), moved by (top, left)."""
    fx, fy, cx, cy, width, height = known
    by_x, by_y = size[1] / width, size[0] / height
    # Pixel centres lie at whole numbers: half a pixel changes with the scale.
    x, y = (cx + 0.5) * by_x - 0.5, (cy + 0.5) * by_y - 0.5
    return [fx * by_x, fy * by_y, x + shift[1], y + shift[0]]


def _by_picture(values: list[Tensor], cameras: list[str]) -> Tensor:
    if len({value.shape for value in values}) > 1:
        raise ZooError(
            "spatial cameras have pictures of different sizes",
            got=", ".join(f"{c} {tuple(v.shape[2:])}" for c, v in zip(cameras, values, strict=True)),
            expected="one size",
            do="name one of them in --policy.spatial_cameras, or convert the data with one --size",
        )
    return torch.stack(values, dim=2).flatten(0, 2)
