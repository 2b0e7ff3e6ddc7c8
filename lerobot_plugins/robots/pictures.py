"""A robot's cameras, LeRobot's own and those that a backend shows, behind one way of looking."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from lerobot.cameras import Camera as HostCamera
from lerobot.cameras import CameraConfig
from numpy.typing import NDArray

from lerobot_plugins.contracts.robot import Camera
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Picture
from lerobot_plugins.robots.depth import legacy_gray3

DEPTH_SUFFIX = "_depth"


class _BackendCameraConfig(CameraConfig):
    """Sizes only; no type of its own that a command line could choose."""


class BackendCamera(HostCamera):
    """A camera whose pictures the backend has: in `robot.cameras` it counts as LeRobot's own do.

    Args:
        camera: Its name, size and whether it measures depth.
        look: The backend's `picture`.
        fps: How often it is looked at.
    """

    use_rgb = True

    def __init__(self, camera: Camera, look: Callable[[str], Picture], fps: int) -> None:
        super().__init__(_BackendCameraConfig(fps=fps, width=camera.width, height=camera.height))
        self.name, self.use_depth, self._look = camera.name, camera.depth, look
        self._connected = False

    @property
    def is_connected(self) -> bool:
        return self._connected

    @staticmethod
    def find_cameras() -> list[dict[str, Any]]:
        return []

    def connect(self, warmup: bool = True) -> None:
        """Look once: the first picture of a simulation takes longest, and may fail for want of OpenGL."""
        if warmup:
            self.look()
        self._connected = True

    def disconnect(self) -> None:
        self._connected = False

    def look(self) -> Picture:
        """Colour and depth of one moment."""
        return self._look(self.name)

    def read(self) -> NDArray[Any]:
        return self.look().rgb

    def async_read(self, timeout_ms: float = 200) -> NDArray[Any]:
        return self.look().rgb

    def read_latest(self, max_age_ms: int = 500) -> NDArray[Any]:
        return self.look().rgb


def picture_features(name: str, camera: Any, legacy_depth: bool) -> dict[str, tuple[int, int, int]]:
    """The features of one camera: (H, W, 3), and `<name>_depth` as (H, W, 1), in the legacy form (H, W, 3).

    Args:
        name: The camera's.
        camera: With `height` and `width`, and LeRobot's `use_rgb` and `use_depth` where it has them.
        legacy_depth: Whether depth is grey of 8 bits.
    """
    features = {}
    if getattr(camera, "use_rgb", True):
        features[name] = (camera.height, camera.width, 3)
    if getattr(camera, "use_depth", False):
        features[name + DEPTH_SUFFIX] = (camera.height, camera.width, 3 if legacy_depth else 1)
    return features


def take_pictures(
    cameras: Mapping[str, HostCamera], legacy_depth: bool, max_age_s: float
) -> dict[str, np.ndarray]:
    """One picture of each camera, under the names and in the shapes of `picture_features`.

    Args:
        cameras: By name.
        legacy_depth: Whether depth is grey of 8 bits.
        max_age_s: How old a picture may be.

    Raises:
        ZooError: A camera gives none in time, or one of another size or type.
    """
    taken = {}
    for name, camera in cameras.items():
        try:
            rgb, depth_mm = _look(camera, round(max_age_s * 1000))
        except (OSError, RuntimeError) as error:  # TimeoutError is an OSError, DeviceNotConnectedError too
            raise ZooError(
                f"camera {name} gives no picture",
                got=f"{type(error).__name__}: {error}",
                expected=f"one of the last {max_age_s:g} s",
                do="look after its cable, and that no other program has it",
            ) from error
        shape = (camera.height, camera.width)
        if getattr(camera, "use_rgb", True):
            taken[name] = _checked(rgb, name, (*shape, 3), np.uint8)
        if getattr(camera, "use_depth", False):
            depth = _checked(depth_mm, f"{name}'s depth", (*shape, 1), np.uint16)
            taken[name + DEPTH_SUFFIX] = legacy_gray3(depth) if legacy_depth else depth
    return taken


def _look(camera: Any, max_age_ms: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Colour and depth, None for what the camera does not take."""
    if isinstance(camera, BackendCamera):
        picture = camera.look()
        return picture.rgb, picture.depth_mm
    rgb = camera.read_latest(max_age_ms=max_age_ms) if getattr(camera, "use_rgb", True) else None
    depth = camera.read_latest_depth(max_age_ms=max_age_ms) if getattr(camera, "use_depth", False) else None
    return rgb, depth


def _checked(
    picture: np.ndarray | None, what: str, shape: tuple[int, int, int], dtype: type[np.generic]
) -> np.ndarray:
    if picture is None or picture.shape != shape or picture.dtype != dtype:
        raise ZooError(
            f"the picture of {what} is not what the robot's features say",
            got="none" if picture is None else f"{picture.dtype} {picture.shape}",
            expected=f"{np.dtype(dtype)} {shape}",
            do="correct the camera's width and height",
        )
    return picture
