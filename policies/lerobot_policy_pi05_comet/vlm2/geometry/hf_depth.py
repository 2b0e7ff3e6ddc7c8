"""Geometry from a metric depth model of transformers (Depth Anything V2 metric, ZoeDepth, DepthPro).

The model is named by `geometry_pretrained`, a folder or hub id; it is frozen and not part of a checkpoint.
"""

from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.precision import no_autocast
from lerobot_policy_pi05_comet.vlm2.geometry.base import Geometry, GeometryEncoder, Held, resized
from lerobot_policy_pi05_comet.vlm2.geometry.depth import DepthGeometry, geometry_of_depth

# ImageNet's, which Depth Anything and DepthPro's backbones were trained with; ZoeDepth's are 0.5.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class HFDepthGeometry(GeometryEncoder):
    """`hf_depth`: predicted metres, back-projected as recorded ones are.

    Args:
        source: Folder or hub id.
        image_size: Side of the pictures that the model sees, a multiple of its patches.
    """

    widths: ClassVar = DepthGeometry.widths
    needs_intrinsics: ClassVar = True

    def __init__(self, source: str, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.held = Held(lambda: load_depth_model(source))

    @torch.no_grad()
    def forward(
        self, picture_B3HW: Tensor, depth_BHW: Tensor | None, intrinsics_B4: Tensor | None
    ) -> Geometry:
        assert intrinsics_B4 is not None
        network = self.held(picture_B3HW)
        mean, std = (picture_B3HW.new_tensor(v)[:, None, None] for v in network.picture_scale)
        with no_autocast(picture_B3HW.device):
            pixels = (resized(picture_B3HW, self.image_size) - mean) / std
            predicted = network(pixel_values=pixels).predicted_depth.float()
        size = picture_B3HW.shape[-2:]
        depth = F.interpolate(predicted[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        return geometry_of_depth(depth, intrinsics_B4)


def load_depth_model(source: str) -> nn.Module:
    """The depth model with all of its weights, and the scale its pictures have as `picture_scale`.

    Raises:
        ZooError: It cannot be had, predicts no metres, or its weights are incomplete.
    """
    from transformers import AutoConfig, AutoModelForDepthEstimation

    try:
        config = AutoConfig.from_pretrained(source)
        require_metric(config, source)
        model, report = AutoModelForDepthEstimation.from_pretrained(source, output_loading_info=True)
    except (OSError, ValueError) as error:
        raise ZooError(
            "geometry_pretrained names no depth model of transformers",
            got=f"{source}: {str(error).splitlines()[0]}",
            expected="a folder or hub id for AutoModelForDepthEstimation",
            do="pass --policy.geometry_pretrained=FOLDER, e.g. of "
            "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf, which `hf download` fetches",
        ) from error
    wrong = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if wrong:
        raise ZooError(
            f"the weights of {source} are incomplete: random ones would take their place",
            got=f"{len(wrong)} missing or mis-shaped, first {wrong[0]}",
            expected="every weight of the depth model",
        )
    model.picture_scale = picture_scale(source)
    return model


def require_metric(config: Any, source: str) -> None:
    """Refuse models whose depth has no unit."""
    kind = getattr(config, "depth_estimation_type", "metric")
    if kind != "metric":
        raise ZooError(
            f"{source} predicts {kind} depth, which has no unit",
            got=f"depth_estimation_type={kind}",
            expected="metric",
            do="choose a metric model, e.g. depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
        )


def picture_scale(source: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the pictures, from the model's image processor where there is one."""
    from transformers.image_processing_base import ImageProcessingMixin

    if Path(source).is_dir() and not (Path(source) / "preprocessor_config.json").is_file():
        return MEAN, STD
    values, _ = ImageProcessingMixin.get_image_processor_dict(source)
    return tuple(values.get("image_mean", MEAN)), tuple(values.get("image_std", STD))
