"""MuJoCo's cameras: what their depth buffers mean, and the intrinsics of the pictures that policies see.

LIBERO's raw pictures have their lowest row first, as OpenGL reads them; LeRobot turns them by 180 degrees. So
policies see every scene upright and mirrored, left for right. Depth is turned with its picture, and mirrored
pixels need a negative focal length along x to give points that are not.
"""

import math

import numpy as np

MM_PER_METRE = 1000.0
UNITS = ("mm", "m")


def depth_in(unit: str, buffer: np.ndarray, near: float, far: float) -> np.ndarray:
    """Distances along the view axis, float32; 0, which means unknown, where nothing was drawn.

    Args:
        unit: `mm` or `m`.
        buffer: Of OpenGL, in [0, 1]: 0 on the near plane, 1 on the far one.
        near: Distance of the near plane in metres.
        far: Distance of the far plane in metres.
    """
    z = buffer.astype(np.float64)
    metres = near / (1.0 - z * (1.0 - near / far))
    scale = MM_PER_METRE if unit == "mm" else 1.0
    return np.where(z < 1.0, metres * scale, 0.0).astype(np.float32)


def intrinsics(fovy: float, height: int, width: int) -> list[float]:
    """fx, fy, cx, cy, width, height of a picture as LeRobot hands it to policies.

    In pixels, whose centres lie at whole numbers. Pixels are square in MuJoCo; fx is negative because the
    picture is mirrored.

    Args:
        fovy: Vertical field of view of the camera in degrees.
        height: Of the picture in pixels.
        width: Of the picture in pixels.
    """
    focal = 0.5 * height / math.tan(math.radians(fovy) / 2)
    return [-focal, focal, (width - 1) / 2, (height - 1) / 2, float(width), float(height)]
