"""Geometry encoders by name."""

from typing import Any

from lerobot_policy_pi05_comet.vlm2.geometry.base import GeometryEncoder

ENCODERS = ("none", "depth", "hf_depth", "vggt", "stub")
# Encoders with pretrained weights, and where those come from unless the configuration says so.
PRETRAINED = {
    "hf_depth": "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
    "vggt": "facebook/VGGT-1B",
}


def make_encoder(config: Any) -> GeometryEncoder | None:
    """The encoder of a configuration; None for `none`."""
    name = config.geometry_encoder
    if name == "none":
        return None
    if name == "depth":
        from lerobot_policy_pi05_comet.vlm2.geometry.depth import DepthGeometry

        return DepthGeometry()
    if name == "stub":
        from lerobot_policy_pi05_comet.vlm2.geometry.stub import StubGeometry

        return StubGeometry()
    source = config.geometry_pretrained or PRETRAINED[name]
    if name == "hf_depth":
        from lerobot_policy_pi05_comet.vlm2.geometry.hf_depth import HFDepthGeometry

        return HFDepthGeometry(source, config.geometry_image_size)
    from lerobot_policy_pi05_comet.vlm2.geometry.vggt import VGGTGeometry

    return VGGTGeometry(source, config.geometry_image_size)
