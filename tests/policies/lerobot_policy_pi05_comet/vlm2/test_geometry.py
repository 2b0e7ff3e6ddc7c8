"""Geometry encoders: exact back-projection, predicted depth, the user's VGGT, what is refused."""

import copy
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from safetensors.torch import save_file
from tiny_policies import observation_batch, tiny_config, tiny_policy
from torch import nn
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from lerobot_plugins.errors import ZooError
from lerobot_policy_pi05_comet.configuration_pi05_comet_vlm2 import require_history
from lerobot_policy_pi05_comet.modeling_pi05_comet_vlm2 import PI05CometVLM2Policy
from lerobot_policy_pi05_comet.vlm2.geometry.base import back_project, mean_points, patch_features
from lerobot_policy_pi05_comet.vlm2.geometry.hf_depth import HFDepthGeometry
from lerobot_policy_pi05_comet.vlm2.geometry.vggt import VGGTGeometry
from lerobot_policy_pi05_comet.vlm2.observation import SpatialInput

TYPE = "pi05_comet_vlm2"
CAMERA, DEPTH = "observation.images.image", "observation.images.image_depth"
INTRINSICS = {CAMERA: [50.0, 60.0, 31.5, 31.5, 64, 64]}


def depth_config(**changes: Any) -> dict[str, Any]:
    features = dict(tiny_config(TYPE).input_features)
    features[DEPTH] = PolicyFeature(FeatureType.VISUAL, (1, 64, 64))
    return {
        "geometry_encoder": "depth",
        "camera_intrinsics": INTRINSICS,
        "input_features": features,
    } | changes


# Depth.


def test_back_projection_is_that_of_numpy():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.2, 5, (2, 5, 7))
    depth[0, 0, :3] = 0, np.nan, np.inf
    intrinsics = np.array([[300.0, 310.0, 3.1, 2.2], [200.0, 200.0, 3.5, 2.5]])
    point, valid = back_project(torch.from_numpy(depth), torch.from_numpy(intrinsics))
    v, u = np.mgrid[:5, :7]
    known = np.isfinite(depth) & (depth > 0)
    z = np.where(known, depth, 0)
    fx, fy, cx, cy = intrinsics.T[:, :, None, None]
    expected = np.stack([(u - cx) * z / fx, (v - cy) * z / fy, z], axis=-1)
    assert np.array_equal(point.numpy(), expected)
    assert np.array_equal(valid.numpy(), known)


def test_unknown_depth_is_left_out_of_means():
    point = torch.arange(16.0).reshape(1, 4, 4, 1).expand(-1, -1, -1, 3)
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[0, 0, 0] = False
    valid[0, :2, 2:] = False
    mean, share = mean_points(point, valid, 2)
    assert mean[0, 0, 0, 0] == pytest.approx((1 + 4 + 5) / 3)
    assert share[0].tolist() == [[0.75, 0], [1, 1]]
    assert patch_features(point, valid, 2, 2).shape == (1, 2, 2, 16)


def test_depth_reaches_the_encoder_in_metres_with_scaled_intrinsics():
    policy = tiny_policy(TYPE, **depth_config())
    batch = observation_batch(policy.config, batch=2)
    batch[DEPTH] = torch.full((2, 1, 32, 32), 1500.0)  # half the pixels that the intrinsics are for
    _, depth, intrinsics = SpatialInput(policy.config)(batch, slice(-1, None))
    assert torch.equal(depth, torch.full((2, 32, 32), 1.5))
    torch.testing.assert_close(intrinsics[0], torch.tensor([25.0, 30.0, 15.5, 15.5]))


def test_pictures_that_are_not_square_keep_their_rays():
    """A picture padded to a square: the pixel in the middle still looks straight ahead."""
    config = tiny_policy(
        TYPE, **depth_config(camera_intrinsics={CAMERA: [50, 50, 31.5, 15.5, 64, 32]})
    ).config
    batch = {CAMERA: torch.rand(1, 3, 32, 64), DEPTH: torch.full((1, 1, 32, 64), 2000.0)}
    _, depth, intrinsics = SpatialInput(config)(batch, slice(-1, None))
    assert depth.shape == (1, 64, 64)
    point, valid = back_project(depth, intrinsics)
    assert valid.sum() == 32 * 64
    assert point[0, 31:33, 31:33, :2].mean(dim=(0, 1)).abs().max() < 1e-6


def test_a_policy_acts_on_recorded_depth(tmp_path):
    policy = tiny_policy(TYPE, **depth_config())
    assert policy.config.depth_features == {CAMERA: DEPTH}
    batch = observation_batch(policy.config, batch=2)
    batch[DEPTH] = torch.rand(2, 1, 64, 64) * 2000
    near = policy.predict_action_chunk(batch)
    policy.reset()
    far = policy.predict_action_chunk(batch | {DEPTH: batch[DEPTH] + 1000})
    assert not torch.equal(near, far)
    policy.reset()
    policy.save_pretrained(tmp_path)
    assert torch.equal(PI05CometVLM2Policy.from_pretrained(tmp_path).predict_action_chunk(batch), near)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_features": None}, r"needs recorded depth of observation\.images\.image(.|\n)*--depth=all"),
        ({"camera_intrinsics": None}, r"intrinsics of observation\.images\.image(.|\n)*unknown"),
        ({"camera_intrinsics": {CAMERA: [1.0, 2.0]}}, r"got: +\[1\.0, 2\.0\](.|\n)*fx, fy, cx, cy"),
        ({"spatial_cameras": ["observation.images.other"]}, "does not have"),
        ({"memory_frames": 1}, "single moments"),
        ({"memory_pool_tokens": 5}, "no square"),
        ({"geometry_encoder": "vgt"}, r"unknown geometry_encoder(.|\n)*=vggt"),
    ],
)
def test_what_does_not_fit_is_explained(changes, words):
    if changes.get("input_features", 0) is None:
        changes = {"input_features": tiny_config(TYPE).input_features}
    with pytest.raises(ZooError, match=words):
        tiny_policy(TYPE, **depth_config(**changes))


def test_depth_that_is_missing_or_in_another_unit_is_explained():
    policy = tiny_policy(TYPE, **depth_config())
    batch = observation_batch(policy.config, batch=1)
    del batch[DEPTH]
    with pytest.raises(ZooError, match=f"needs depth(.|\n)*{DEPTH}"):
        policy.predict_action_chunk(batch)
    with pytest.raises(ZooError, match="depth_unit=m"):
        policy.predict_action_chunk(batch | {DEPTH: torch.rand(1, 1, 64, 64)})


def test_behavior_1k_names_bring_their_intrinsics():
    head, depth = "observation.images.rgb.head", "observation.images.depth.head"
    features = dict(tiny_config(TYPE).input_features) | {
        head: PolicyFeature(FeatureType.VISUAL, (3, 64, 64)),
        depth: PolicyFeature(FeatureType.VISUAL, (1, 64, 64)),
    }
    given = {"input_features": features, "camera_intrinsics": None, "spatial_cameras": [head]}
    config = tiny_policy(TYPE, **depth_config(**given)).config
    assert config.depth_features == {head: depth}
    assert config.camera_intrinsics == {head: [306, 306, 360, 360, 720, 720]}


def test_data_that_can_give_no_history_is_refused(monkeypatch):
    config = tiny_config(TYPE)
    text = type("Meta", (), {"features": {"observation.note": {"dtype": "string"}}})
    with pytest.raises(ZooError, match=r"observation\.note(.|\n)*remove_feature"):
        require_history(config, text)
    monkeypatch.setattr(sys, "argv", ["lerobot-train", "--dataset.streaming=true"])
    plain = type("Meta", (), {"features": {}})
    with pytest.raises(ZooError, match="streamed"):
        require_history(config, plain)
    require_history(tiny_config(TYPE, memory="none"), plain)


# Predicted depth.


@pytest.fixture(scope="module")
def depth_model(tmp_path_factory):
    """A random Depth Anything, a few thousand weights."""
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        depth_estimation_type="metric",
        max_depth=20,
    )
    folder = tmp_path_factory.mktemp("depth")
    model = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith(("neck", "head")):
                weight.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder


def test_predicted_depth_is_back_projected(depth_model, tmp_path):
    encoder = HFDepthGeometry(str(depth_model), 28)
    picture = torch.rand(2, 3, 32, 32)
    intrinsics = torch.tensor([[40.0, 40.0, 15.5, 15.5]]).expand(2, 4)
    geometry = encoder(picture, None, intrinsics)
    z = geometry.point_BHW3[..., 2]
    assert z.shape == (2, 32, 32)
    assert 0 < z.min() < z.max() <= 20
    expected, _ = back_project(z, intrinsics)
    assert torch.equal(geometry.point_BHW3, expected)

    changes = {
        "geometry_encoder": "hf_depth",
        "geometry_pretrained": str(depth_model),
        "geometry_image_size": 28,
        "camera_intrinsics": INTRINSICS,
    }
    policy = tiny_policy(TYPE, **changes)
    batch = observation_batch(policy.config, batch=1)
    chunk = policy.predict_action_chunk(batch)
    assert not [name for name in policy.state_dict() if "held" in name or "geometry." in name]
    policy.train()
    assert not policy.geometry.held._network.training
    assert copy.deepcopy(policy).geometry.held is policy.geometry.held, "a server's sessions share it"
    policy.save_pretrained(tmp_path)
    assert torch.equal(PI05CometVLM2Policy.from_pretrained(tmp_path).predict_action_chunk(batch), chunk)


def test_relative_depth_and_missing_models_are_refused(depth_model, tmp_path):
    config = DepthAnythingConfig.from_pretrained(depth_model)
    config.depth_estimation_type = "relative"
    config.save_pretrained(tmp_path)
    picture, intrinsics = torch.rand(1, 3, 28, 28), torch.tensor([[40.0, 40.0, 14.0, 14.0]])
    with pytest.raises(ZooError, match="no unit"):
        HFDepthGeometry(str(tmp_path), 28)(picture, None, intrinsics)
    with pytest.raises(ZooError, match="no depth model"):
        HFDepthGeometry(str(tmp_path / "nowhere"), 28)(picture, None, intrinsics)


# VGGT.


class FakeVGGT(nn.Module):
    """The interface of the package's network, with a few weights; it watches what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 2048, 14, 14)
        self.seen: list[Any] = []

    def aggregator(self, images):
        self.seen.append((images.shape, float(images.min()), float(images.max()), self.training))
        patches = self.embed(images[:, 0]).flatten(2).transpose(1, 2)[:, None]
        return [torch.cat([patches.new_zeros(len(patches), 1, 5, 2048), patches], dim=2)], 5

    def camera_head(self, layers):
        return [layers[-1].mean(dim=2)[..., :9]]

    def point_head(self, layers, images, patch_start_idx):
        assert patch_start_idx == 5
        point = images.permute(0, 1, 3, 4, 2)
        return point, point[..., 0]


@pytest.fixture
def vggt(monkeypatch):
    package, models, module = ModuleType("vggt"), ModuleType("vggt.models"), ModuleType("vggt.models.vggt")
    module.VGGT = FakeVGGT
    package.__spec__ = object()
    package.__path__ = models.__path__ = []
    for one in (package, models, module):
        monkeypatch.setitem(sys.modules, one.__name__, one)


def test_vggt_sees_unit_range_pictures_in_evaluation_mode(vggt, tmp_path):
    torch.manual_seed(0)
    save_file(FakeVGGT().state_dict(), tmp_path / "model.safetensors")
    encoder = VGGTGeometry(str(tmp_path), 28)
    geometry = encoder.train()(torch.rand(2, 3, 64, 64), None, None)
    assert geometry.features_BhwG.shape == (2, 2, 2, 2048)
    assert geometry.view_BY.shape == (2, 9)
    assert geometry.point_BHW3.shape == (2, 28, 28, 3)
    shape, low, high, training = encoder.held._network.seen[0]
    assert tuple(shape) == (2, 1, 3, 28, 28)
    assert 0 <= low < high <= 1
    assert not training
    assert not list(encoder.parameters())

    changes = {"geometry_encoder": "vggt", "geometry_pretrained": str(tmp_path), "geometry_image_size": 28}
    policy = tiny_policy(TYPE, **changes)
    assert torch.isfinite(policy.predict_action_chunk(observation_batch(policy.config, batch=1))).all()
    assert not [name for name in policy.state_dict() if "embed.weight" in name and "held" in name]


def test_vggt_without_package_weights_or_patches_is_refused(vggt, tmp_path, monkeypatch):
    save_file({"embed.weight": torch.zeros(2048, 3, 14, 14)}, tmp_path / "model.safetensors")
    with pytest.raises(ZooError, match=r"1 missing: embed\.bias"):
        VGGTGeometry(str(tmp_path), 28)(torch.rand(1, 3, 28, 28), None, None)
    with pytest.raises(ZooError, match="multiple of 14"):
        VGGTGeometry(str(tmp_path), 256)
    monkeypatch.delitem(sys.modules, "vggt")
    with pytest.raises(ZooError, match="pip install git"):
        VGGTGeometry(str(tmp_path), 28)
