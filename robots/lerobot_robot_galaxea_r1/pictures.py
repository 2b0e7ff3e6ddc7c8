"""The robot's own cameras: the newest picture of each, decoded when it is asked for.

H, W height and width.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from lerobot_plugins.contracts.robot import Camera
from lerobot_plugins.conversion import images
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Picture
from lerobot_robot_galaxea_r1.lateness import Lateness
from lerobot_robot_galaxea_r1.topics import Topic, colour_topic, depth_topic
from lerobot_robot_galaxea_r1.wire import Compressed, Message, Pixels

_MM_PER_M = 1000.0
_MILLIMETRES, _METRES = ("16UC1", "mono16"), ("32FC1",)


class CameraFeed:
    """What the cameras' topics showed last. `heard` is called by a transport's thread.

    Args:
        cameras: Those to listen to, with the sizes that are expected of them.
        max_age_s: How old a picture may be.
        clock: Seconds that never go back.
    """

    def __init__(
        self, cameras: Iterable[Camera], max_age_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cameras = {camera.name: camera for camera in cameras}
        self._max_age_s, self._clock = max_age_s, clock
        self.topics: list[Topic] = []
        for camera in self._cameras.values():
            self.topics.append(colour_topic(camera.name))
            if camera.depth:
                self.topics.append(depth_topic(camera.name))
        self.forget()

    def forget(self) -> None:
        """Nothing was seen: a new connection."""
        self._heard: dict[str, tuple[Message | ZooError, float]] = {}
        self._lateness = {topic.name: Lateness() for topic in self.topics}

    def heard(self, name: str, message: Message | ZooError, arrived_s: float, sender: object = None) -> None:
        """A picture came, as `Feedback.heard`."""
        late_s = self._lateness[name](getattr(message, "stamp_s", 0.0), arrived_s, sender)
        self._heard[name] = message, arrived_s - late_s

    def unheard(self) -> list[str]:
        """Topics that showed nothing yet."""
        return [topic.name for topic in self.topics if topic.name not in self._heard]

    def picture(self, camera: str) -> Picture:
        """The newest picture, and depth where the camera is listened to for it. They may differ by a frame.

        Raises:
            ZooError: No such camera; none or no young picture; one that is damaged, or of another size or
                format.
        """
        if camera not in self._cameras:
            raise ZooError(
                "this camera is not listened to",
                got=camera,
                expected=" or ".join(self._cameras) or "none",
                do=f"name it, --robot.backend_cameras='[{camera}]'",
            )
        of = self._cameras[camera]
        colour, depth = colour_topic(camera), depth_topic(camera)
        with _named(colour):
            rgb_HW3 = _decoded(self._newest(colour), of)
        if not of.depth:
            return Picture(rgb_HW3)
        with _named(depth):
            return Picture(rgb_HW3, _depth(self._newest(depth), of))

    def _newest(self, topic: Topic) -> Message:
        message, taken_s = self._heard.get(topic.name, (None, 0.0))
        if message is None:
            raise ZooError(
                "no picture came yet",
                do=f"see that the camera's driver runs: ros2 topic hz {topic.name}",
            )
        if isinstance(message, ZooError):
            raise message
        age_s = self._clock() - taken_s
        if age_s > self._max_age_s:
            raise ZooError(
                "the picture is stale",
                got=f"a picture {age_s:.2f} s old",
                expected=f"one of the last {self._max_age_s:g} s (--robot.max_age_s)",
                do="look after the camera's driver and the network",
            )
        return message


@contextmanager
def _named(topic: Topic) -> Iterator[None]:
    """Errors name the topic."""
    try:
        yield
    except ZooError as error:
        raise ZooError(
            f"{topic.name}: {error.what}",
            got=error.got,
            expected=error.expected,
            do=error.do or "look after the camera and the network; a wire loses less than radio",
        ) from error


def _decoded(message: Message, camera: Camera) -> np.ndarray:
    """(H, W, 3) uint8."""
    assert isinstance(message, Compressed)
    _check_size(images.size(message.data), camera)
    return images.decode(message.data, (camera.height, camera.width, 3))


def _depth(message: Message, camera: Camera) -> np.ndarray:
    """(H, W, 1) uint16 in mm; 0 where nothing was measured."""
    assert isinstance(message, Pixels)
    if message.encoding not in (*_MILLIMETRES, *_METRES):
        raise ZooError(
            "a picture holds no depth",
            got=f"encoding {message.encoding}",
            expected=" or ".join((*_MILLIMETRES, *_METRES)),
        )
    _check_size((message.height, message.width), camera)
    metres = message.encoding in _METRES
    dtype = np.dtype("f4" if metres else "u2").newbyteorder(">" if message.big_endian else "<")
    row = message.width * dtype.itemsize
    if message.step < row or len(message.data) != message.height * message.step:
        raise ZooError(
            "the picture is damaged",
            got=f"{len(message.data)} bytes in rows of {message.step}",
            expected=f"{message.height} rows of at least {row}",
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :row]
    depth_HW = np.ascontiguousarray(rows).view(dtype)
    if metres:
        known = np.where(np.isfinite(depth_HW), depth_HW, 0.0)
        depth_HW = np.clip(np.rint(known * _MM_PER_M), 0, np.iinfo(np.uint16).max)
    return depth_HW.astype(np.uint16)[..., None]


def _check_size(size: tuple[int, int], camera: Camera) -> None:
    height, width = size
    if size != (camera.height, camera.width):
        raise ZooError(
            "a picture has another size",
            got=f"{height} x {width}",
            expected=f"{camera.height} x {camera.width}",
            do=f"--robot.camera_sizes='{{{camera.name}: [{height}, {width}]}}'",
        )
