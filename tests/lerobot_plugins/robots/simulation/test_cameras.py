"""What simulated cameras see."""

import threading

import numpy as np
import pytest
from simulated_robots import ROBOTS, mujoco, physics

from lerobot_plugins.contracts import catalog
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.simulation import cameras
from lerobot_plugins.robots.simulation.cameras import SimulatedCameras

# A red box half a metre in front of the camera's left half, a green one behind it to the right, a blue floor
# and, above the horizon, nothing.
SCENE = """
<mujoco>
  <visual><quality offsamples="0"/><map znear="0.01" zfar="20"/></visual>
  <statistic extent="1"/>
  <worldbody>
    <light type="directional" dir="1 0 -1"/>
    <geom name="red" type="box" pos="0.6 0.15 1" size="0.1 0.1 0.1" rgba="1 0 0 1"/>
    <geom name="green" type="box" pos="2.1 -0.4 1" size="0.1 0.3 0.3" rgba="0 1 0 1"/>
    <geom name="floor" type="plane" size="30 30 1" rgba="0 0 1 1"/>
    <camera name="front" pos="0 0 1" xyaxes="0 -1 0 0 0 1" fovy="60"/>
    <camera name="outside" pos="0 0 1" xyaxes="0 -1 0 0 0 1" fovy="60"/>
  </worldbody>
</mujoco>
"""
SIZE = H, W = 60, 80


@pytest.fixture(scope="module")
def scene():
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    drawing = SimulatedCameras(mujoco, model, {"front": SIZE})
    yield model, data, drawing
    drawing.close()


def distance_along_axis(model, data, camera: str, row: float, column: float, size: tuple[int, int]) -> float:
    """How far along the camera's axis the first thing behind a pixel is, by casting a ray; -1 for nothing."""
    height, width = size
    half = np.tan(np.radians(model.camera(camera).fovy[0]) / 2)
    direction = np.array(
        [(2 * (column + 0.5) - width) / height * half, (1 - 2 * (row + 0.5) / height) * half, -1.0]
    )
    length = np.linalg.norm(direction)
    place, rotation = data.camera(camera).xpos, data.camera(camera).xmat.reshape(3, 3)
    hit = np.zeros(1, np.int32)
    far = mujoco.mj_ray(model, data, place, rotation @ direction / length, None, 1, -1, hit)
    return far / length


def test_depth_is_in_millimetres_and_nothing_is_0(scene):
    model, data, drawing = scene
    picture = drawing.look(data, "front", depth=True)
    assert picture.depth_mm is not None
    assert picture.depth_mm.shape == (H, W, 1)
    assert picture.depth_mm.dtype == np.uint16
    assert picture.depth_mm[H // 2, 25, 0] == 500
    assert picture.depth_mm[H // 2, 55, 0] == 2000
    assert picture.depth_mm[0, W // 2, 0] == 0  # the sky
    assert picture.depth_mm[H // 2 + 2, W // 2 - 1, 0] == 0  # the floor, farther than 10 m
    generator = np.random.default_rng(0)
    for row, column in generator.integers([0, 0], [H, W], (200, 2)):
        expected = 1000 * distance_along_axis(model, data, "front", row, column, SIZE)
        neighbours = [
            distance_along_axis(model, data, "front", row + dy, column + dx, SIZE)
            for dy in (-0.4, 0.4)
            for dx in (-0.4, 0.4)
        ]
        if 0 < expected < 9900 and np.ptp(neighbours) < 0.2 * expected / 1000:  # not at an edge
            assert picture.depth_mm[row, column, 0] == pytest.approx(expected, rel=0.002, abs=1)


def test_pictures_are_upright_and_not_mirrored(scene):
    _, data, drawing = scene
    rgb = drawing.look(data, "front", depth=False).rgb
    assert rgb.shape == (H, W, 3)
    assert rgb.dtype == np.uint8
    assert rgb[H // 2, 25].argmax() == 0  # red, left
    assert rgb[H // 2, 55].argmax() == 1  # green, right
    assert rgb[-1, W // 2].argmax() == 2  # floor, below


def test_pictures_are_the_same_from_every_thread(scene):
    _, data, drawing = scene
    pictures = [drawing.look(data, "front", depth=False).rgb]
    thread = threading.Thread(target=lambda: pictures.append(drawing.look(data, "front", depth=False).rgb))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert drawing.look(data, "outside", depth=False).rgb.shape == (480, 640, 3)


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_cameras_look_at_the_table_from_outside_the_robots_own_body(robot_type: str):
    robot = physics(robot_type)
    for camera in catalog.contract(robot_type).cameras:
        grid = [
            distance_along_axis(robot.model, robot.data, camera.name, row, column, SIZE)
            for row in range(0, H, 4)
            for column in range(0, W, 4)
        ]
        assert min(far for far in grid if far > 0) > 0.05, camera.name
        # More than half of what it sees is between arm's length and the room's end.
        assert np.mean([0.25 < far < 5 for far in grid]) > 0.5, camera.name


def test_a_machine_that_cannot_draw_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, scene):
    def broken(_: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'eglQueryString'")

    model, data, _ = scene
    monkeypatch.setattr(cameras, "_context_class", broken)
    drawing = SimulatedCameras(mujoco, model, {"front": SIZE})
    with pytest.raises(ZooError, match="apt-get install libegl1") as raised:
        drawing.look(data, "front", depth=False)
    assert "eglQueryString" in str(raised.value)
    drawing.close()
