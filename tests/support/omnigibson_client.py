"""A client that speaks as OmniGibson's `WebsocketClientPolicy` does, packing included; and what it is given.

Written from what is published of it (StanfordVL/BEHAVIOR-1K, `learning/utils/network_utils.py`, `eval.py`),
with nothing of ours: keys are bytes, arrays carry `dtype.str`, tensors the name of their dtype. The evaluator
turns tensors into arrays before they are sent; `tensors=True` leaves them.
"""

import urllib.request
from typing import Any

import msgpack
import numpy as np
import torch
from websockets.sync.client import ClientConnection, connect

CAMERA_KEYS = {
    "head": "robot_r1::robot_r1:zed_link:Camera:0::rgb",
    "left_wrist": "robot_r1::robot_r1:left_realsense_link:Camera:0::rgb",
    "right_wrist": "robot_r1::robot_r1:right_realsense_link:Camera:0::rgb",
}


def _default(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return {
            b"__torch__": True,
            b"data": value.numpy().tobytes(),
            b"dtype": str(value.dtype).removeprefix("torch."),
            b"shape": tuple(value.shape),
        }
    if isinstance(value, np.ndarray):
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    raise TypeError(type(value))


def _hook(found: dict) -> Any:
    if b"__ndarray__" in found:
        dtype = np.dtype(found[b"dtype"])
        return np.ndarray(buffer=found[b"data"], dtype=dtype, shape=found[b"shape"])
    return found


class OmniGibsonClient:
    """Connects when first used; `act` raises on text, `reset` waits for no answer."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.metadata: Any = None
        self._connection: ClientConnection | None = None

    def _connected(self) -> ClientConnection:
        if self._connection is None:
            with urllib.request.urlopen(f"http://{self.address}/healthz", timeout=2) as response:
                assert response.status == 200
            self._connection = connect(
                f"ws://{self.address}", compression=None, max_size=None, ping_interval=60, ping_timeout=300
            )
            self.metadata = msgpack.unpackb(self._connection.recv(), object_hook=_hook)
        return self._connection

    def act(self, observation: dict[str, Any]) -> torch.Tensor:
        connection = self._connected()
        connection.send(msgpack.packb(observation, default=_default))
        answer = connection.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"Error in inference server:\n{answer}")
        return torch.from_numpy(msgpack.unpackb(answer, object_hook=_hook)["action"].copy())

    def reset(self) -> None:
        self._connected().send(msgpack.packb({"reset": True}))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def simulated(seed: int, *, size: int = 32, tensors: bool = False, task_id: int = 0) -> dict[str, Any]:
    """An observation as the evaluator hands it over: pictures with alpha, and what no policy asked for."""
    generator = torch.Generator().manual_seed(seed)
    observation: dict[str, Any] = {
        key: torch.randint(0, 256, (size, size, 4), generator=generator, dtype=torch.uint8)
        for key in CAMERA_KEYS.values()
    }
    observation |= {
        "robot_r1::proprio": torch.rand(256, generator=generator),
        "robot_r1::cam_rel_poses": torch.rand(21, generator=generator),
        "task_id": torch.tensor([task_id], dtype=torch.int64),
    }
    if not tensors:
        observation = {key: value.numpy() for key, value in observation.items()}
    # Booleans become arrays of no dimension.
    return observation | {"need_new_action": np.array(True)}
