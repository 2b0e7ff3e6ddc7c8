"""What a depth buffer means, and where a pixel of LIBERO's mirrored pictures lies."""

import numpy as np
import pytest
import torch

from lerobot_env_libero_depth.cameras import depth_in, intrinsics
from lerobot_policy_pi05_comet.vlm2.geometry.base import back_project

NEAR, FAR = 0.0106, 530.5


def test_a_depth_buffer_becomes_metres_and_what_nothing_was_drawn_at_unknown():
    metres = np.array([NEAR, 0.05, 1.0, 2.79])
    # What OpenGL's perspective writes for a distance.
    buffer = (1 / NEAR - 1 / metres) / (1 / NEAR - 1 / FAR)
    np.testing.assert_allclose(depth_in("m", buffer, NEAR, FAR), metres, rtol=1e-6)
    np.testing.assert_allclose(depth_in("mm", buffer.astype(np.float32), NEAR, FAR), 1000 * metres, rtol=1e-4)
    assert depth_in("mm", np.ones((1, 2, 2)), NEAR, FAR).tolist() == [[[0, 0], [0, 0]]]


def test_intrinsics_bring_a_pixel_back_to_where_its_point_is():
    """A point right of and below the axis stands left of the middle of a mirrored picture, and below it."""
    height, width, fovy = 96, 128, 45.0
    x, y, z = 0.3, 0.2, 1.5
    focal = height / 2 / np.tan(np.radians(fovy / 2))
    column = width - 1 - ((width - 1) / 2 + focal * x / z)  # upright, then mirrored
    row = (height - 1) / 2 + focal * y / z
    fx, fy, cx, cy, *size = intrinsics(fovy, height, width)
    assert size == [width, height]
    assert ((column - cx) * z / fx, (row - cy) * z / fy) == pytest.approx((x, y))

    points, _ = back_project(torch.full((1, height, width), z), torch.tensor([[fx, fy, cx, cy]]))
    nearest = points[0, round(row), round(column)]
    assert torch.linalg.norm(nearest - torch.tensor([x, y, z])) < z / focal  # one pixel
