import msgpack
import numpy as np
import pytest
import torch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.serving.packing import pack, unpack

LIMIT = 1 << 20


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", ">f8"])
def test_arrays_come_back_as_they_were(dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    back = unpack(pack({"a": {"b": array}, "s": np.float32(2.5), "t": "text"}), LIMIT)
    np.testing.assert_array_equal(back["a"]["b"], array)
    assert back["a"]["b"].dtype == array.dtype
    assert back["s"] == np.float32(2.5)
    assert back["t"] == "text"


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float32])
def test_tensors_come_as_arrays(dtype):
    tensor = torch.arange(6).reshape(2, 3).to(dtype)
    frame = pack({"a": tensor.T})
    back = unpack(frame, LIMIT)["a"]
    np.testing.assert_array_equal(back, tensor.T.numpy())
    assert back.dtype == tensor.numpy().dtype
    # Its own reader makes a dtype of the name; one that torch itself has written begins with `torch.`.
    assert np.dtype(msgpack.unpackb(frame)["a"][b"dtype"]) == tensor.numpy().dtype
    sent = msgpack.unpackb(frame)["a"] | {b"dtype": str(dtype)}
    np.testing.assert_array_equal(unpack(msgpack.packb(sent), LIMIT), tensor.T.numpy())


@pytest.mark.parametrize(
    "message",
    [
        {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "|O", b"shape": [1]},
        {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "<c8", b"shape": [1]},
        {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "<f4", b"shape": [3]},
        {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "<f4", b"shape": [-1, -2]},
        {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "<f4", b"shape": [2], b"more": 1},
        {b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"},
        {b"__torch__": True, b"data": b"\0" * 8, b"dtype": "bfloat16", b"shape": [4]},
        {b"__torch__": True, b"data": b"\0" * 8, b"dtype": "float32", b"shape": [3]},
        {b"__torch__": True, b"data": b"\0" * 8, b"dtype": "float32"},
        {b"__torch__": True, b"data": b"\0" * 8, b"dtype": "os.system", b"shape": [2]},
        {b"__pickle__": b"..."},
        {1: 2},
        [[[[[[[[[[1]]]]]]]]]],
        [[0] * 4000] * 20,
        msgpack.ExtType(3, b"x"),
    ],
)
def test_what_is_no_message_of_numbers_is_refused(message):
    with pytest.raises(ZooError):
        unpack(msgpack.packb(message), LIMIT)


def test_a_message_over_the_limit_is_refused():
    with pytest.raises(ZooError, match="too large"):
        unpack(pack(np.zeros(1000, np.uint8)), 1000)


def test_deep_frames_and_frames_of_empty_lists_are_refused():
    for frame in (
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdc\x0f\xff" + (b"\xdc\x0f\xff" + b"\x90" * 4095) * 20,
    ):
        with pytest.raises(ZooError):
            unpack(frame, LIMIT)


def test_objects_are_not_sent():
    with pytest.raises(ZooError):
        pack({"a": np.array([object()])})
    with pytest.raises(ZooError):
        pack({"a": torch.zeros(2, dtype=torch.bfloat16)})
