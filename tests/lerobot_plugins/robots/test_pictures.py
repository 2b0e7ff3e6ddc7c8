"""Pictures of LeRobot's cameras and of a backend's own, colour and depth, and what is refused."""

from typing import Any

import numpy as np
import pytest

from lerobot_plugins.contracts.robot import Camera
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Picture
from lerobot_plugins.robots.depth import legacy_gray3, millimetres
from lerobot_plugins.robots.pictures import BackendCamera, picture_features, take_pictures

HEIGHT, WIDTH = 6, 8
RGB = np.full((HEIGHT, WIDTH, 3), 7, np.uint8)
DEPTH = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH, 1)


class HostCamera:
    """A camera of LeRobot's kind that measures depth, as `intelrealsense` does."""

    height, width = HEIGHT, WIDTH

    def __init__(self, rgb: Any = RGB, depth: Any = None, use_rgb: bool = True) -> None:
        self._rgb, self._depth = rgb, depth
        self.use_rgb, self.use_depth = use_rgb, depth is not None
        self.ages_ms: list[int] = []

    def read_latest(self, max_age_ms: int = 500) -> np.ndarray:
        return self._give(self._rgb, max_age_ms)

    def read_latest_depth(self, max_age_ms: int = 500) -> np.ndarray:
        return self._give(self._depth, max_age_ms)

    def _give(self, picture: Any, max_age_ms: int) -> np.ndarray:
        self.ages_ms.append(max_age_ms)
        if isinstance(picture, Exception):
            raise picture
        return picture


class PlainCamera:
    """A camera of LeRobot's kind without depth, as `opencv` is."""

    height, width = HEIGHT, WIDTH

    def read_latest(self, max_age_ms: int = 500) -> np.ndarray:
        return RGB


def backend_camera(depth_mm: np.ndarray | None = DEPTH) -> BackendCamera:
    return BackendCamera(
        Camera("head", HEIGHT, WIDTH, depth=True), lambda name: Picture(RGB, depth_mm), fps=30
    )


@pytest.mark.parametrize("camera", [HostCamera(depth=DEPTH), backend_camera()])
def test_colour_and_depth_have_the_shapes_of_their_features(camera: Any):
    taken = take_pictures({"head": camera}, legacy_depth=False, max_age_s=0.5)
    assert {name: picture.shape for name, picture in taken.items()} == picture_features("head", camera, False)
    assert np.array_equal(taken["head"], RGB)
    assert np.array_equal(taken["head_depth"], DEPTH)


@pytest.mark.parametrize("camera", [HostCamera(depth=DEPTH), backend_camera()])
def test_legacy_depth_has_three_channels(camera: Any):
    taken = take_pictures({"head": camera}, legacy_depth=True, max_age_s=0.5)
    assert taken["head_depth"].shape == picture_features("head", camera, True)["head_depth"] == (6, 8, 3)


def test_cameras_without_depth_or_without_colour():
    assert list(take_pictures({"front": PlainCamera()}, False, 0.5)) == ["front"]
    assert list(picture_features("front", PlainCamera(), False)) == ["front"]
    only_depth = HostCamera(depth=DEPTH, use_rgb=False)
    assert list(take_pictures({"top": only_depth}, False, 0.5)) == ["top_depth"]
    assert list(picture_features("top", only_depth, False)) == ["top_depth"]


def test_old_pictures_are_not_asked_for():
    camera = HostCamera(depth=DEPTH)
    take_pictures({"head": camera}, legacy_depth=False, max_age_s=0.25)
    assert camera.ages_ms == [250, 250]


@pytest.mark.parametrize(
    ("camera", "said"),
    [
        (
            HostCamera(rgb=TimeoutError("latest frame is 900 ms old")),
            r"camera head gives no picture[\s\S]*900 ms",
        ),
        (HostCamera(rgb=RuntimeError("no frame yet")), "camera head gives no picture"),
        (HostCamera(rgb=ConnectionError("not connected")), "camera head gives no picture"),
        (HostCamera(rgb=None), r"picture of head is not what the robot's features say\n  got:      none"),
        (HostCamera(rgb=RGB[:3]), r"got:      uint8 \(3, 8, 3\)\n  expected: uint8 \(6, 8, 3\)"),
        (HostCamera(rgb=RGB.astype(np.float32)), r"got:      float32 \(6, 8, 3\)"),
        (HostCamera(depth=DEPTH[:, :, 0]), r"picture of head's depth[\s\S]*uint16 \(6, 8\)"),
        (backend_camera(depth_mm=None), r"picture of head's depth"),
    ],
)
def test_a_camera_that_fails_is_named(camera: Any, said: str):
    with pytest.raises(ZooError, match=said):
        take_pictures({"head": camera}, legacy_depth=False, max_age_s=0.5)


def test_a_backends_camera_is_one_of_lerobots():
    camera = backend_camera()
    assert (camera.height, camera.width, camera.fps) == (6, 8, 30)
    assert not camera.is_connected
    with camera:
        assert camera.is_connected
        for picture in (camera.read(), camera.async_read(), camera.read_latest()):
            assert np.array_equal(picture, RGB)
    assert not camera.is_connected
    assert camera.find_cameras() == []


def test_a_backend_that_cannot_show_is_found_when_connecting():
    def fail(name: str) -> Picture:
        raise ZooError("this machine cannot draw")

    camera = BackendCamera(Camera("head", HEIGHT, WIDTH), fail, fps=30)
    with pytest.raises(ZooError, match="cannot draw"):
        camera.connect()
    assert not camera.is_connected


def test_legacy_depth_is_scaled_by_the_frames_maximum_and_nothing_stays_nothing():
    depth_HW1 = np.array([[0, 1000], [2000, 500]], np.uint16)[:, :, None]
    gray_HW3 = legacy_gray3(depth_HW1)
    assert gray_HW3.dtype == np.uint8
    assert gray_HW3[:, :, 0].tolist() == [[0, 128], [255, 64]]
    assert (gray_HW3 == gray_HW3[:, :, :1]).all()
    assert np.array_equal(legacy_gray3(2 * depth_HW1), gray_HW3)  # the scale is lost
    assert (legacy_gray3(np.zeros((2, 2, 1), np.uint16)) == 0).all()


def test_millimetres_are_rounded_and_wrong_depth_is_refused():
    assert millimetres(np.array([0.4, 503.6, 70000.0])).tolist() == [0, 504, 65535]
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ZooError, match="no depth"):
            millimetres(np.array([wrong]))
