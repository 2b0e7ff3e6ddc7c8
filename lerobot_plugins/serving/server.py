"""The websocket server, in the protocols of openpi and of OmniGibson.

On connection the server sends a map of metadata. Each observation is answered by a map: `actions` (H, A) in
openpi's protocol, `action` (1, A) in OmniGibson's, both with `server_timing`. `{"reset": true}` starts an
episode and has no answer. An error is answered by text; after one of the client's the connection goes on,
after one of the policy's it is closed. GET /healthz answers OK.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from lerobot_plugins.errors import ZooError
from lerobot_plugins.serving.packing import pack, unpack
from lerobot_plugins.serving.session import Session

logger = logging.getLogger(__name__)

PROTOCOLS = ("openpi", "omnigibson")


@dataclass
class PolicyServer:
    """Answers clients, one session each.

    Args:
        template: The loaded policy; sessions are made from it.
        protocol: One of `PROTOCOLS`.
        max_sessions: Further clients are refused with HTTP status 503.
        max_bytes: Larger frames close their connection.
        idle_timeout: Seconds without a message after which a session ends.
    """

    template: Session
    protocol: str = "openpi"
    max_sessions: int = 8
    max_bytes: int = 32 * 2**20
    idle_timeout: float = 600.0
    answered: int = 0
    sessions: int = 0
    # One client at a time computes, off the event loop: pings and /healthz are answered meanwhile.
    _computing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self, host: str, port: int) -> Server:
        """Listen; port 0 takes a free one.

        Raises:
            ZooError: The address cannot be had.
        """
        try:
            return await serve(
                self._converse,
                host,
                port,
                compression=None,  # pictures hardly shrink
                max_size=self.max_bytes,
                max_queue=2,
                # A simulator that loads a scene answers no pings for minutes: OmniGibson's own times.
                ping_interval=60,
                ping_timeout=300,
                process_request=self._greet,
            )
        except OSError as error:
            raise ZooError(f"cannot listen on {host}:{port}", got=error, do="pass another --port") from error

    def metadata(self) -> dict[str, Any]:
        """What a client is told first: the policy, and the keys under which its inputs may be sent."""
        observations, config = self.template.observations, self.template.policy.config
        width = list(config.output_features["action"].shape)
        return {
            "protocol": self.protocol,
            "policy_type": config.type,
            "prompt": observations.prompt,
            "observation_keys": {name: list(observations.keys(name)) for name in observations.features},
            "observation_shapes": {name: list(shape) for name, shape in observations.features.items()},
            "action_shape": [1, *width] if self.protocol == "omnigibson" else width,
        }

    def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        if self.sessions >= self.max_sessions:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{self.sessions} sessions: full\n")
        return None

    async def _converse(self, connection: ServerConnection) -> None:
        if self.sessions >= self.max_sessions:  # several handshakes at once
            await connection.close(1013, "full")
            return
        self.sessions += 1
        try:
            await self._session(connection)
        except ConnectionClosed:
            pass  # the client has gone, or its frame was too large
        except TimeoutError:
            await connection.close(1008, f"no message for {self.idle_timeout:g} s")
        except Exception as error:
            # The policy failed: its state is unknown, so the session ends. Other sessions go on.
            logger.exception("a session failed")
            await connection.send(f"{type(error).__name__}: {error}")
            await connection.close(1011, "Internal server error. See the previous frame.")
        finally:
            self.sessions -= 1

    async def _session(self, connection: ServerConnection) -> None:
        session: Session = await self._compute(self.template.spawn)
        await connection.send(pack(self.metadata()))
        took: dict[str, float] = {}
        while True:
            frame = await asyncio.wait_for(connection.recv(), self.idle_timeout)
            began = time.perf_counter()
            try:
                answer = await self._answer(session, frame)
            except ZooError as error:
                await connection.send(str(error))
                continue
            if answer is not None:
                answer["server_timing"] |= took
                await connection.send(pack(answer))
                took = {"prev_total_ms": 1000 * (time.perf_counter() - began)}

    async def _answer(self, session: Session, frame: str | bytes) -> dict[str, Any] | None:
        if isinstance(frame, str):
            raise ZooError("the message is text", expected="msgpack as openpi's client packs it")
        message = unpack(frame, self.max_bytes)
        if isinstance(message, dict) and "reset" in message:
            if message["reset"] is not True or len(message) > 1:
                raise ZooError(
                    "a reset comes alone", got=", ".join(sorted(message))[:200], expected="reset: true"
                )
            await self._compute(session.reset)
            return None
        began = time.perf_counter()
        if self.protocol == "openpi":
            answer: dict[str, Any] = {"actions": await self._compute(session.chunk, message)}
        else:
            action_A = await self._compute(session.action, message)
            answer = {"action": action_A[None]}
        if session.subtask is not None:
            answer["subtask"] = session.subtask
        self.answered += 1
        return answer | {"server_timing": {"infer_ms": 1000 * (time.perf_counter() - began)}}

    async def _compute(self, function: Any, *arguments: Any) -> Any:
        async with self._computing:
            return await asyncio.to_thread(function, *arguments)
