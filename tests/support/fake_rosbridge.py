"""The fake robot behind a fake rosbridge, written from rosbridge's protocol (version 2, JSON over a
websocket).

It runs in twisted's reactor, which roslibpy's connection shares.
"""

import base64
import json
import math
import threading
import time
from typing import Any, Self

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from fake_r1 import BOOL, JOINT_STATE, LISTENS, PERIOD_S, SAYS, FakeR1
from twisted.internet import reactor, threads
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

#: What the fields of a published message must be, for rosbridge to make a ROS message of it.
_FIELDS = {
    JOINT_STATE: {"header", "name", "position", "velocity", "effort"},
    "geometry_msgs/TwistStamped": {"header", "twist"},
    BOOL: {"data"},
}


class FakeRosbridge:
    """A server on a port of its own until it is killed; started again it has the same port.

    Args:
        body: The robot behind it.

    Attributes:
        silent: Neither says nor answers anything, like a peer whose cable was pulled.
        opened: How many connections were made.
        junk: Topic -> what is said instead of a message.
    """

    def __init__(self, body: FakeR1) -> None:
        self.body, self.port = body, 0
        self.silent, self.opened = False, 0
        self.junk: dict[str, Any] = {}
        self.clients: set[_Client] = set()
        self._listening: Any = None
        self._loop = LoopingCall(self._speak)
        if not reactor.running:
            threading.Thread(target=reactor.run, args=(False,), daemon=True).start()
        self.start()

    def start(self) -> None:
        """Listen."""
        threads.blockingCallFromThread(reactor, self._start)

    def kill(self) -> None:
        """End as a process does that is killed: the port and all connections are closed."""
        threads.blockingCallFromThread(reactor, self._kill)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _start(self) -> None:
        factory = WebSocketServerFactory()
        factory.protocol = lambda: _Client(self)
        self._listening = reactor.listenTCP(self.port, factory, interface="127.0.0.1")
        self.port = self._listening.getHost().port
        self._loop.start(PERIOD_S)

    def _kill(self) -> Any:
        if self._loop.running:
            self._loop.stop()
        for client in list(self.clients):
            client.transport.abortConnection()
        return self._listening.stopListening()

    def _speak(self) -> None:
        if self.silent:
            return
        now_s = time.monotonic()
        for topic, message in self.body.says():
            for client in list(self.clients):
                client.say(topic, self.junk.get(topic, message), now_s)


class _Client(WebSocketServerProtocol):
    """One connection: what it subscribed to and advertised."""

    def __init__(self, server: FakeRosbridge) -> None:
        super().__init__()
        self._server = server
        self._subscribed: dict[str, float] = {}  # topic -> seconds between messages
        self._said_s: dict[str, float] = {}
        self._advertised: dict[str, str] = {}

    def onConnect(self, request: Any) -> Any:
        return Deferred() if self._server.silent else None

    def onOpen(self) -> None:
        self._server.clients.add(self)
        self._server.opened += 1

    def onClose(self, was_clean: bool, code: int | None, reason: str | None) -> None:
        self._server.clients.discard(self)

    def onPing(self, payload: bytes) -> None:
        if not self._server.silent:
            super().onPing(payload)

    def onMessage(self, payload: bytes, is_binary: bool) -> None:
        if self._server.silent:
            return
        request = json.loads(payload)
        problem = getattr(self, "_" + request["op"])(request)
        if problem:
            self._send({"op": "status", "level": "error", "msg": f"{request['op']}: {problem}"})

    def say(self, topic: str, message: Any, now_s: float) -> None:
        """Publish to this client, if it wants it now."""
        if topic in self._subscribed and now_s - self._said_s.get(topic, -1.0) >= self._subscribed[topic]:
            self._said_s[topic] = now_s
            self._send({"op": "publish", "topic": topic, "msg": _as_json(message)})

    def _subscribe(self, request: dict[str, Any]) -> str | None:
        topic = request["topic"]
        if SAYS.get(topic, request["type"]) != request["type"]:
            return f"{topic} is of another type"
        self._subscribed[topic] = request.get("throttle_rate", 0) / 1000
        return None

    def _advertise(self, request: dict[str, Any]) -> str | None:
        if LISTENS.get(request["topic"], request["type"]) != request["type"]:
            return f"{request['topic']} is of another type"
        self._advertised[request["topic"]] = request["type"]
        return None

    def _publish(self, request: dict[str, Any]) -> str | None:
        topic = request["topic"]
        if topic not in self._advertised:
            return f"{topic} was not advertised"
        if set(request["msg"]) != _FIELDS[self._advertised[topic]]:
            return f"the message does not fit {self._advertised[topic]}"
        self._server.body.hears(topic, request["msg"])
        return None

    def _send(self, message: dict[str, Any]) -> None:
        if self.state != self.STATE_OPEN:
            return
        self.sendMessage(json.dumps(message, allow_nan=False).encode())


def _as_json(value: Any) -> Any:
    """Bytes in base64, and null for what JSON has no number for."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
