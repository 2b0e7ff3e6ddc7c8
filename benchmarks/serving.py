"""What the server adds to a policy's time: packing, a loopback connection, unpacking, the way to a thread.

A tiny policy, so that its own time hides nothing; the same observations in process and served, in turn. The
last line is JSON.

    python benchmarks/serving.py [--calls 200]
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import numpy as np
from omnigibson_client import CAMERA_KEYS, simulated
from served_policies import observation, r1_pro_session, tiny_session
from websockets.asyncio.client import connect

from lerobot_plugins import registry
from lerobot_plugins.serving.packing import pack, unpack
from lerobot_plugins.serving.server import PolicyServer
from lerobot_plugins.serving.session import Session

# Pictures as the simulator renders them at the size of the demonstrations, with alpha.
SIZES = {"head": 720, "left_wrist": 480, "right_wrist": 480}
WARMUP = 5


def openpi() -> tuple[Session, dict[str, Any]]:
    """Two pictures of 224, and chunks for an answer."""
    session = tiny_session()
    message = observation(session)
    for key in [key for key in message if "image" in key]:
        message[key] = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    return session, message


def omnigibson() -> tuple[Session, dict[str, Any]]:
    """The three pictures of an evaluation of BEHAVIOR-1K, and single actions for an answer."""
    message = simulated(0)
    for camera, size in SIZES.items():
        message[CAMERA_KEYS[camera]] = np.random.default_rng(0).integers(
            0, 256, (size, size, 4), dtype=np.uint8
        )
    return r1_pro_session(prompt="go"), message


async def measure(protocol: str, template: Session, message: dict[str, Any], calls: int) -> dict[str, Any]:
    """Medians over calls; a served call is timed from its observation to its actions."""
    session = template.spawn()
    answer = session.chunk if protocol == "openpi" else session.action
    inside, outside = [], []
    async with await PolicyServer(template, protocol).start("127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None) as connection:
            await connection.recv()
            for _ in range(WARMUP + calls):
                began = time.perf_counter()
                answer(message)
                between = time.perf_counter()
                await connection.send(pack(message))
                unpack(await connection.recv(), 1 << 25)
                inside.append(between - began)
                outside.append(time.perf_counter() - between)
    mine, served = (1000 * statistics.median(times[WARMUP:]) for times in (inside, outside))
    added = sorted(1000 * (b - a) for a, b in zip(inside[WARMUP:], outside[WARMUP:], strict=True))
    return {
        "protocol": protocol,
        "message_bytes": len(pack(message)),
        "calls": calls,
        "in_process_ms": mine,
        "served_ms": served,
        "added_ms": statistics.median(added),
        "added_ms_p95": added[int(0.95 * len(added))],
    }


def main() -> None:
    """Measure both protocols."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200, help="observations")
    arguments = parser.parse_args()
    registry.load_kind("policy")
    rows = [
        asyncio.run(measure(protocol, *make(), arguments.calls))
        for protocol, make in (("openpi", openpi), ("omnigibson", omnigibson))
    ]
    for row in rows:
        print(
            f"{row['protocol']:11} {row['message_bytes'] / 1e6:4.1f} MB: {row['in_process_ms']:6.2f} ms in "
            f"process, {row['served_ms']:6.2f} ms served, {row['added_ms']:.2f} ms more"
        )
    print(json.dumps({"benchmark": "serving", "rows": rows}))


if __name__ == "__main__":
    main()
