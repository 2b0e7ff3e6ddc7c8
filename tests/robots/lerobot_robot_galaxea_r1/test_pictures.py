from dataclasses import replace

import numpy as np
import pytest
import simplejpeg
from kinematic_robot import Clock

from lerobot_plugins.contracts.robot import Camera
from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1.pictures import CameraFeed
from lerobot_robot_galaxea_r1.topics import colour_topic, depth_topic
from lerobot_robot_galaxea_r1.wire import Compressed, Pixels

H, W = 24, 32
COLOUR, DEPTH = colour_topic("head").name, depth_topic("head").name
RGB_HW3 = np.random.default_rng(0).integers(0, 255, (H, W, 3), dtype=np.uint8)
JPEG = Compressed("jpeg", simplejpeg.encode_jpeg(RGB_HW3))
MM_HW = np.arange(H * W, dtype=np.uint16).reshape(H, W)
DEPTH_MM = Pixels(H, W, "16UC1", False, 2 * W, MM_HW.astype("<u2").tobytes())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def feed(clock: Clock) -> CameraFeed:
    made = CameraFeed([Camera("head", H, W, depth=True)], 0.5, clock)
    made.heard(COLOUR, JPEG, clock.now_s)
    made.heard(DEPTH, DEPTH_MM, clock.now_s)
    return made


def test_a_picture_is_the_jpeg_and_the_depth(feed: CameraFeed):
    picture = feed.picture("head")
    assert np.array_equal(picture.rgb, simplejpeg.decode_jpeg(JPEG.data))
    assert picture.depth_mm is not None
    assert np.array_equal(picture.depth_mm[..., 0], MM_HW)


def test_only_what_is_asked_for_is_listened_to():
    feed = CameraFeed([Camera("left_wrist", H, W)], 0.5)
    assert [topic.name for topic in feed.topics] == ["/hdas/camera_wrist_left/color/image_raw/compressed"]
    with pytest.raises(ZooError, match=r"(?s)not listened to.*head.*left_wrist.*backend_cameras"):
        feed.picture("head")


@pytest.mark.parametrize(
    "pixels",
    [
        Pixels(H, W, "16UC1", True, 2 * W, MM_HW.astype(">u2").tobytes()),
        Pixels(H, W, "mono16", False, 2 * W + 8, np.pad(MM_HW, ((0, 0), (0, 4))).astype("<u2").tobytes()),
        Pixels(H, W, "32FC1", False, 4 * W, (MM_HW / 1000).astype("<f4").tobytes()),
    ],
)
def test_other_encodings_of_the_same_depth(feed: CameraFeed, clock: Clock, pixels: Pixels):
    feed.heard(DEPTH, pixels, clock.now_s)
    depth_mm = feed.picture("head").depth_mm
    assert depth_mm is not None
    assert depth_mm.dtype == np.uint16
    assert np.array_equal(depth_mm[..., 0], MM_HW)


def test_depth_in_metres_that_is_not_known_is_zero(feed: CameraFeed, clock: Clock):
    metres = np.full((H, W), np.nan, "<f4")
    metres[0, :4] = np.inf, -1.0, 1.2345, 1e9
    feed.heard(DEPTH, Pixels(H, W, "32FC1", False, 4 * W, metres.tobytes()), clock.now_s)
    depth_mm = feed.picture("head").depth_mm
    assert depth_mm is not None
    assert depth_mm[0, :5, 0].tolist() == [0, 0, 1234, 65535, 0]


def test_an_old_picture_is_an_error(feed: CameraFeed, clock: Clock):
    clock.wait(0.4)
    feed.heard(COLOUR, JPEG, clock.now_s)
    clock.wait(0.2)
    with pytest.raises(ZooError, match=rf"(?s){DEPTH}: the picture is stale.*0\.60 s"):
        feed.picture("head")


def test_a_picture_that_was_long_on_its_way_is_old(feed: CameraFeed, clock: Clock):
    feed.heard(COLOUR, replace(JPEG, stamp_s=1000.0), clock.now_s)
    clock.wait(0.9)
    feed.heard(COLOUR, replace(JPEG, stamp_s=1000.2), clock.now_s)
    with pytest.raises(ZooError, match=rf"(?s){COLOUR}: the picture is stale.*0\.70 s"):
        feed.picture("head")


def test_damage_is_an_error(feed: CameraFeed, clock: Clock):
    feed.heard(COLOUR, Compressed("jpeg", JPEG.data[: len(JPEG.data) // 2]), clock.now_s)
    with pytest.raises(ZooError, match=f"{COLOUR}: the JPEG picture is damaged"):
        feed.picture("head")
    feed.heard(COLOUR, Compressed("theora", b"OggS"), clock.now_s)
    with pytest.raises(ZooError, match=f"{COLOUR}: a picture is neither JPEG nor PNG"):
        feed.picture("head")
    feed.heard(COLOUR, JPEG, clock.now_s)
    feed.heard(DEPTH, Pixels(H, W, "16UC1", False, 2 * W, DEPTH_MM.data[:-1]), clock.now_s)
    with pytest.raises(ZooError, match=f"{DEPTH}: the picture is damaged"):
        feed.picture("head")
    feed.heard(DEPTH, Pixels(H, W, "rgb8", False, 3 * W, b""), clock.now_s)
    with pytest.raises(ZooError, match=rf"(?s){DEPTH}: a picture holds no depth.*rgb8.*16UC1"):
        feed.picture("head")
    feed.heard(DEPTH, ZooError("junk"), clock.now_s)
    with pytest.raises(ZooError, match=f"{DEPTH}: junk"):
        feed.picture("head")


def test_another_size_names_the_option(clock: Clock):
    feed = CameraFeed([Camera("head", 720, 1280)], 0.5, clock)
    with pytest.raises(ZooError, match=f"{COLOUR}: no picture came yet"):
        feed.picture("head")
    assert feed.unheard() == [COLOUR]
    feed.heard(COLOUR, JPEG, clock.now_s)
    said = r"a picture has another size.*24 x 32.*720 x 1280.*camera_sizes='\{head: \[24, 32\]\}'"
    with pytest.raises(ZooError, match=f"(?s){COLOUR}: {said}"):
        feed.picture("head")
