"""Topics through rosbridge's JSON protocol, with roslibpy's connection.

roslibpy's own `Topic` keeps what it cannot send and sends it once connected again: old commands to a robot.
So only its connection is used, and each message belongs to the connection that was open when it was made.

Imports `roslibpy`: imported only when a connection is opened.
"""

import base64
import json
import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import roslibpy
from twisted.internet import reactor

from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1.link import Hear
from lerobot_robot_galaxea_r1.topics import Topic
from lerobot_robot_galaxea_r1.wire import Compressed, Flag, Joints, Message, Pixels, Speeds

logger = logging.getLogger(__name__)

# Names that rosbridge knows for ROS 2 as for ROS 1.
_TYPES: dict[type[Message], str] = {
    Joints: "sensor_msgs/JointState",
    Speeds: "geometry_msgs/TwistStamped",
    Flag: "std_msgs/Bool",
    Compressed: "sensor_msgs/CompressedImage",
    Pixels: "sensor_msgs/Image",
}
# JSON costs: the bridge sends at most so often, and only the newest.
_THROTTLE_MS = {Compressed: 50, Pixels: 50}
_THROTTLE_JOINTS_MS = 15
# A dead peer does not say so: it is asked, and dropped when it does not answer.
_PING_S = 1.0
_RETRY_S, _LONGEST_RETRY_S = 0.5, 2.0
_HANDSHAKE_S = 2.0
_CLOSE_S = 1.0


class _Connection(roslibpy.Ros):
    """roslibpy's connection, which notices a dead peer and tries again soon and for ever."""

    def connect(self) -> None:
        """Nothing: who listens to its events must do so before it begins."""

    def begin(self) -> None:
        """Start twisted's reactor, unless it runs, and connect."""
        self.factory.setProtocolOptions(
            openHandshakeTimeout=_HANDSHAKE_S, autoPingInterval=_PING_S, autoPingTimeout=_PING_S
        )
        self.factory.initialDelay = self.factory.delay = _RETRY_S
        self.factory.maxDelay = _LONGEST_RETRY_S
        # In a thread; it cannot be started twice in a process and so is never stopped.
        self.factory.manager.run()
        super().connect()

    def end(self) -> None:
        """No more tries."""
        self.factory.manager.call_later(0, self.factory.stopTrying)
        # One for each connection ever made would repeat each line of twisted's log.
        self.factory.manager._log_observer.stop()


class RosbridgeLink:
    """Subscriptions and publications that are made with each new connection.

    Args:
        config: `rosbridge_host`, `rosbridge_port`, `connect_timeout_s`.
        heard: Topics to hear.
        sent: Topics to send.
        hear: Takes what is heard.
        forget: Called when the connection is made anew.

    Raises:
        ZooError: No rosbridge there.
    """

    def __init__(
        self, config: Any, heard: list[Topic], sent: list[Topic], hear: Hear, forget: Callable[[], None]
    ) -> None:
        self.address = f"{config.rosbridge_host}:{config.rosbridge_port}"
        self._heard, self._sent, self._hear, self._forget = heard, sent, hear, forget
        self._protocol: Any = None
        self._refusal: str | None = None
        self._ended = False
        self._ready = threading.Event()
        self._closed = threading.Event()
        self._ros = _Connection(config.rosbridge_host, config.rosbridge_port, transport="twisted")
        for topic in heard:
            self._ros.on(topic.name, partial(self._take, topic))
        self._ros.on("close", self._on_close)
        self._ros.on("ready", self._on_ready)
        self._ros.begin()
        if not self._ready.wait(config.connect_timeout_s):
            self.close()
            raise ZooError(
                "no rosbridge answers",
                got=f"nothing from {self.address} in {config.connect_timeout_s:g} s",
                expected="rosbridge_server",
                do="on the robot: ros2 launch rosbridge_server rosbridge_websocket_launch.xml; "
                "see --robot.rosbridge_host and --robot.rosbridge_port",
            )

    def publish(self, topic: Topic, message: Message) -> None:
        """Send a message through the open connection.

        Raises:
            ZooError: There is none.
        """
        protocol = self._protocol
        if protocol is None:
            raise self._down()
        _send(protocol, op="publish", topic=topic.name, msg=_encoded(message))

    def check(self) -> None:
        """Raise if the connection is down, or once for what rosbridge refused.

        Raises:
            ZooError: Names the address.
        """
        if self._protocol is None:
            raise self._down()
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise ZooError(
                f"rosbridge {self.address} refuses a message",
                got=refusal,
                do="see that rosbridge_server runs where ROS knows the robot's messages",
            )

    def why_silent(self, topic: str) -> None:
        """Nothing: rosbridge does not tell who publishes."""

    def listeners(self, topic: str) -> None:
        """Nothing: rosbridge does not tell who subscribes."""

    def close(self) -> None:
        """Send what was published, then end the connection and all tries; may be called twice."""
        if self._ended:
            return
        self._ended = True
        protocol, self._protocol = self._protocol, None
        self._ros.end()
        if protocol is not None:
            protocol.send_close()
            self._closed.wait(_CLOSE_S)

    def _down(self) -> ZooError:
        return ZooError(
            f"the connection to rosbridge {self.address} is down",
            expected="an open one; it is tried anew by itself",
            do="look after rosbridge_server and the network",
        )

    def _on_ready(self, protocol: Any) -> None:
        """Runs in the reactor's thread, with each connection."""
        if self._ended:
            protocol.send_close()
            return
        # roslibpy has no place for what rosbridge complains of and would log only that.
        protocol._message_handlers["status"] = self._on_status
        self._forget()
        self._closed.clear()
        for topic in self._sent:
            _send(protocol, op="advertise", topic=topic.name, type=_TYPES[topic.kind])
        for topic in self._heard:
            throttle_ms = _THROTTLE_MS.get(topic.kind, _THROTTLE_JOINTS_MS)
            _send(
                protocol,
                op="subscribe",
                topic=topic.name,
                type=_TYPES[topic.kind],
                throttle_rate=throttle_ms,
                queue_length=1,
            )
        self._protocol = protocol
        self._ready.set()

    def _on_close(self, protocol: Any) -> None:
        self._protocol = None
        self._closed.set()

    def _on_status(self, status: Any) -> None:
        level, text = status.get("level", "error"), status.get("msg", "")
        logger.log(logging.WARNING if level in ("error", "warning") else logging.DEBUG, "rosbridge: %s", text)
        if level == "error":
            self._refusal = text

    def _take(self, topic: Topic, received: Any) -> None:
        arrived_s = time.monotonic()
        try:
            message: Message | ZooError = _decoded(topic, received)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = ZooError(
                f"{topic.name} sends something else than {_TYPES[topic.kind]}",
                got=f"{type(error).__name__}: {error}",
                do="see which program publishes it: ros2 topic info -v",
            )
        self._hear(topic.name, message, arrived_s, None)


def _send(protocol: Any, **message: Any) -> None:
    payload = json.dumps(message, allow_nan=False).encode()
    reactor.callFromThread(_send_if_open, protocol, payload)


def _send_if_open(protocol: Any, payload: bytes) -> None:
    if protocol.state == protocol.STATE_OPEN:
        protocol.sendMessage(payload)


def _number(value: Any) -> float:
    """JSON has no NaN: rosbridge sends null."""
    return math.nan if value is None else float(value)


def _seconds(received: Any) -> float:
    stamp = received["header"]["stamp"]
    return stamp["sec"] + stamp["nanosec"] * 1e-9


def _bytes(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)


def _decoded(topic: Topic, received: Any) -> Message:
    stamp_s = _seconds(received)
    if topic.kind is Joints:
        position, velocity = ([_number(value) for value in received[f]] for f in ("position", "velocity"))
        return Joints(position, velocity, received["name"], stamp_s)
    if topic.kind is Speeds:
        linear, angular = (
            [_number(received["twist"][part][axis]) for axis in "xyz"] for part in ("linear", "angular")
        )
        return Speeds(linear, angular, stamp_s)
    if topic.kind is Compressed:
        return Compressed(received["format"], _bytes(received["data"]), stamp_s)
    return Pixels(
        received["height"],
        received["width"],
        received["encoding"],
        bool(received["is_bigendian"]),
        received["step"],
        _bytes(received["data"]),
        stamp_s,
    )


def _encoded(message: Message) -> dict[str, Any]:
    if isinstance(message, Flag):
        return {"data": message.on}
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    header = {"stamp": {"sec": seconds, "nanosec": nanoseconds}, "frame_id": ""}
    if isinstance(message, Joints):
        return {
            "header": header,
            "name": [],
            "position": list(message.position),
            "velocity": list(message.velocity),
            "effort": [],
        }
    assert isinstance(message, Speeds)
    twist = {
        part: dict(zip("xyz", values, strict=True))
        for part, values in (("linear", message.linear), ("angular", message.angular))
    }
    return {"header": header, "twist": twist}
