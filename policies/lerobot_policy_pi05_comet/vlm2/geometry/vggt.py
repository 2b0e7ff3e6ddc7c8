"""Geometry from VGGT (arXiv 2503.11651), of the user's own package.

`vggt` is on no package index: `pip install git+https://github.com/facebookresearch/vggt`. The weights of
facebook/VGGT-1B have non-commercial terms; read its model card. Pictures are given in [0, 1], the network
normalises them itself; patches are its own 14 pixels. Its points are in the frame of the picture's camera, in
units of its own, not in metres.

Legend: B pictures, S = 1 frames, h w patches.
"""

import importlib.util
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from lerobot_plugins.checkpoints.load_report import load_weights
from lerobot_plugins.checkpoints.stored_files import weights_file
from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.precision import autocast, no_autocast
from lerobot_policy_pi05_comet.vlm2.geometry.base import Geometry, GeometryEncoder, Held, resized

PATCH = 14
WEIGHTS = "facebook/VGGT-1B"


class VGGTGeometry(GeometryEncoder):
    """`vggt`: last tokens as features, pose encoding as view, predicted points.

    Args:
        source: Folder or hub id of the weights.
        image_size: Side of the pictures that the network sees, a multiple of 14.

    Raises:
        ZooError: The package is missing, or the size does not fit the patches.
    """

    widths: ClassVar = (2048, 9)

    def __init__(self, source: str, image_size: int) -> None:
        super().__init__()
        if importlib.util.find_spec("vggt") is None:
            raise ZooError(
                "geometry_encoder=vggt needs the package vggt",
                got="no module named vggt",
                do="pip install git+https://github.com/facebookresearch/vggt, or choose "
                "--policy.geometry_encoder=depth or hf_depth",
            )
        if image_size % PATCH:
            raise ZooError(
                "geometry_image_size does not fit VGGT's patches",
                got=image_size,
                expected=f"a multiple of {PATCH}",
                do="pass --policy.geometry_image_size=224",
            )
        self.image_size = image_size
        self.held = Held(lambda: load_vggt(source))

    @torch.no_grad()
    def forward(
        self, picture_B3HW: Tensor, depth_BHW: Tensor | None, intrinsics_B4: Tensor | None
    ) -> Geometry:
        network = self.held(picture_B3HW)
        device = picture_B3HW.device
        pictures = resized(picture_B3HW, self.image_size)[:, None]
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        with autocast(device, dtype):
            layers, first_patch = network.aggregator(pictures)
        with no_autocast(device):
            layers = [layer.float() for layer in layers]
            view = network.camera_head(layers)[-1][:, 0]
            point, _ = network.point_head(layers, images=pictures, patch_start_idx=first_patch)
        point_BHW3 = point[:, 0].float()
        side = self.image_size // PATCH
        features = layers[-1][:, 0, first_patch:].unflatten(1, (side, side))
        valid = torch.isfinite(point_BHW3).all(dim=-1)
        point_BHW3 = torch.where(valid[..., None], point_BHW3, 0.0)
        return Geometry(features, view.float(), point_BHW3, valid)


def load_vggt(source: str) -> nn.Module:
    """VGGT with every one of its weights.

    Raises:
        ZooError: The weights cannot be had, or one is missing, unexpected or mis-shaped.
    """
    from vggt.models.vggt import VGGT

    path: Path = weights_file(source, {})
    if not path.is_file():
        raise ZooError("geometry_pretrained holds no weights of VGGT", got=f"no {path.name} in {source}")
    network = VGGT()
    load_weights(network, path).require_complete(
        str(path), do=f"give --policy.geometry_pretrained the weights of {WEIGHTS} that fit your vggt"
    )
    return network
