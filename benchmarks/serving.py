"""What the server adds to a policy's own time: tiny policy, two pictures, openpi's protocol, loopback."""

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from served_policies import observation, tiny_session
from websockets.asyncio.client import connect

from lerobot_plugins.serving.packing import pack, unpack
from lerobot_plugins.serving.server import PolicyServer

CALLS = 50


async def measure() -> dict[str, float]:
    template = tiny_session()
    message, session = observation(template), template.spawn()
    inside, outside = [], []
    async with await PolicyServer(template).start("127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as connection:
            await connection.recv()
            for _ in range(CALLS):
                began = time.perf_counter()
                session.chunk(message)
                inside.append(time.perf_counter() - began)
                began = time.perf_counter()
                await connection.send(pack(message))
                unpack(await connection.recv(), 1 << 25)
                outside.append(time.perf_counter() - began)
    found = {
        "in_process_ms": 1000 * statistics.median(inside),
        "served_ms": 1000 * statistics.median(outside),
    }
    return found | {"overhead_ms": found["served_ms"] - found["in_process_ms"]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure())))
