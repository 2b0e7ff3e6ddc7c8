"""Colour and depth of a simulated robot's cameras, with or without a display or GPU."""

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Picture
from lerobot_plugins.robots.simulation.scene import OUTSIDE

#: What depth cameras of these robots see at most; farther, and where nothing is, they say 0.
FARTHEST_MM = 10_000
_LARGEST_SCENE = 1000  # geoms
_OUTSIDE_SIZE = (480, 640)


class SimulatedCameras:
    """Draws what cameras of a MuJoCo model see.

    An OpenGL context belongs to one thread. LeRobot looks at cameras from several, so all drawing is done in
    a thread of its own; the model's data must not change meanwhile.

    Args:
        mujoco: The package.
        model: The compiled model.
        sizes: Camera -> height and width in pixels; `outside` has one anyway.

    Raises:
        ZooError: There is no way to draw on this machine.
    """

    def __init__(self, mujoco: Any, model: Any, sizes: Mapping[str, tuple[int, int]]) -> None:
        self._mujoco, self._model = mujoco, model
        self._sizes = {OUTSIDE: _OUTSIDE_SIZE, **sizes}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="simulated-cameras")
        self._context: Any = None

    def look(self, data: Any, camera: str, depth: bool) -> Picture:
        """What a camera sees now: (H, W, 3) uint8, with `depth` also (H, W, 1) uint16 in mm.

        Args:
            data: The model's state.
            camera: Its name.
            depth: Whether it measures depth too: the distance along its axis, 0 from 10 m on.
        """
        return self._thread.submit(self._draw, data, camera, depth).result()

    def close(self) -> None:
        """Free the graphics memory; may be called twice."""
        self._thread.submit(self._free).result()
        self._thread.shutdown()

    def _draw(self, data: Any, camera: str, depth: bool) -> Picture:
        if self._context is None:
            self._open()
        mujoco, (height, width) = self._mujoco, self._sizes[camera]
        self._eye.fixedcamid = self._model.camera(camera).id
        mujoco.mjv_updateScene(
            self._model, data, self._options, None, self._eye, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        rect = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(rect, self._scene, self._context)
        rgb = np.empty((height, width, 3), np.uint8)
        z = np.empty((height, width), np.float32) if depth else None
        mujoco.mjr_readPixels(rgb, z, rect, self._context)
        # OpenGL begins at the bottom.
        return Picture(rgb[::-1].copy(), None if z is None else self._millimetres(z[::-1])[..., None])

    def _millimetres(self, z: np.ndarray) -> np.ndarray:
        """Distances from the depth buffer, which holds 1 at the near plane and 0 at the far one."""
        near, far = (
            float(plane) * self._model.stat.extent
            for plane in (self._model.vis.map.znear, self._model.vis.map.zfar)
        )
        mm = np.rint(1000 * near * far / (near + z.astype(np.float64) * (far - near)))
        return np.where(mm < FARTHEST_MM, mm, 0).astype(np.uint16)

    def _open(self) -> None:
        mujoco, model = self._mujoco, self._model
        heights, widths = zip(*self._sizes.values(), strict=True)
        model.vis.global_.offheight, model.vis.global_.offwidth = max(heights), max(widths)
        try:
            self._gl = _context_class(mujoco)(max(widths), max(heights))
            self._gl.make_current()
            context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150)
        # What fails here comes from ctypes, PyOpenGL or MuJoCo, each with its own kind of error.
        except Exception as error:
            raise ZooError(
                "the simulated cameras cannot draw on this machine",
                got=f"{type(error).__name__}: {error}",
                expected="OpenGL without a display (EGL), or what the variable MUJOCO_GL names",
                do="apt-get install libegl1 libgl1-mesa-dri; or libosmesa6 and MUJOCO_GL=osmesa; "
                "or record without them: --robot.backend_cameras='[]'",
            ) from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
        context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._context = context
        self._scene = mujoco.MjvScene(model, maxgeom=_LARGEST_SCENE)
        self._options = mujoco.MjvOption()
        self._eye = mujoco.MjvCamera()
        self._eye.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def _free(self) -> None:
        if self._context is not None:
            self._context.free()
            self._gl.free()
            self._context = None


def _context_class(mujoco: Any) -> Any:
    """Linux draws through EGL, which needs no display, unless MUJOCO_GL names another way."""
    way = os.environ.get("MUJOCO_GL", "").lower()
    if sys.platform == "linux" and way in ("", "egl"):
        from mujoco.egl import GLContext

        return GLContext
    if way == "osmesa":
        from mujoco.osmesa import GLContext as OSMesaContext

        return OSMesaContext
    return mujoco.GLContext
