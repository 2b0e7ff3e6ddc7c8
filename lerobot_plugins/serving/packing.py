"""Messages: msgpack with numpy arrays, as openpi's client packs them; numbers, text and arrays, nothing else.

An array is a map of `__ndarray__`, `data`, `dtype`, `shape`; a numpy scalar one of `__npgeneric__`, `data`,
`dtype`; OmniGibson's tensor one of `__torch__` and the fields of an array, its dtype by name (`float32`).
Objects, records, complex numbers, extension types and other tags are refused.

Source: openpi's `msgpack_numpy.py`; StanfordVL/BEHAVIOR-1K, `learning/utils/network_utils.py`.
"""

import math
import re
from typing import Any

import msgpack
import numpy as np
from torch import Tensor

from lerobot_plugins.errors import ZooError

MAX_DEPTH = 8
MAX_ITEMS = 65_536  # entries of all lists and maps of a message; pictures are one entry each
_MAX_LENGTH = 4_096  # entries of one list or map
_MAX_DIMS = 8
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
# torch writes its dtypes with its own name before them, where it writes them at all.
_TENSOR_DTYPE = re.compile(r"(?:torch\.)?(bool|u?int(?:8|16|32|64)|float(?:16|32|64))")
_ARRAY, _SCALAR, _TENSOR = "__ndarray__", "__npgeneric__", "__torch__"
_FIELDS = {
    _ARRAY: {"data", "dtype", "shape"},
    _TENSOR: {"data", "dtype", "shape"},
    _SCALAR: {"data", "dtype"},
}


def pack(message: Any) -> bytes:
    """A message as the clients of openpi and OmniGibson read it; tensors as the latter's."""
    return msgpack.packb(message, default=_tagged)


def unpack(frame: bytes, max_bytes: int) -> Any:
    """What a frame says; arrays and tensors are arrays, read-only views of it.

    Raises:
        ZooError: It is no message of numbers, text and arrays, or larger, longer or deeper than allowed.
    """
    if len(frame) > max_bytes:
        raise ZooError("the message is too large", got=f"{len(frame)} bytes", expected=f"<= {max_bytes}")
    budget = _Budget()
    try:
        raw = msgpack.unpackb(
            frame,
            object_pairs_hook=budget.pairs,
            list_hook=budget.items,
            max_ext_len=0,
            max_array_len=_MAX_LENGTH,
            max_map_len=_MAX_LENGTH,
        )
    # Every way in which bytes can fail to be msgpack is one of these.
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise ZooError(
            "the message cannot be read",
            got=f"{type(error).__name__}: {str(error)[:200]}",
            expected="msgpack as openpi's client packs it",
        ) from error
    return _untagged(raw, 0)


class _Budget:
    """Counts entries while they are read: a small frame can otherwise become gigabytes of empty lists."""

    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def items(self, items: list) -> list:
        self._left -= len(items) + 1
        if self._left < 0:
            raise ZooError("the message has too many entries", expected=f"<= {MAX_ITEMS}")
        return items

    def pairs(self, pairs: Any) -> dict:
        pairs = self.items(list(pairs))
        found = {_text(key): value for key, value in pairs}
        if len(found) < len(pairs):
            raise ZooError(
                "a map of the message names a key twice", got=sorted(_text(key) for key, _ in pairs)
            )
        return found


def _text(key: Any) -> str:
    if isinstance(key, bytes):
        key = key.decode("utf-8", "backslashreplace")
    if not isinstance(key, str):
        raise ZooError("a key of the message is no text", got=type(key).__name__)
    return key


def _tagged(value: Any) -> Any:
    if isinstance(value, Tensor):
        if not (name := _TENSOR_DTYPE.fullmatch(str(value.dtype))):
            raise ZooError("tensors of this dtype are not sent", got=value.dtype)
        array = value.detach().cpu().numpy()
        fields = {"data": array.tobytes(), "dtype": name[1], "shape": array.shape}
        return {_TENSOR.encode(): True} | {key.encode(): field for key, field in fields.items()}
    if isinstance(value, np.ndarray | np.generic) and not _DTYPE.fullmatch(value.dtype.str):
        raise ZooError("arrays of this dtype are not sent", got=value.dtype)
    if isinstance(value, np.ndarray):
        fields = {"data": value.tobytes(), "dtype": value.dtype.str, "shape": value.shape}
        return {_ARRAY.encode(): True} | {name.encode(): field for name, field in fields.items()}
    if isinstance(value, np.generic):
        return {_SCALAR.encode(): True, b"data": value.item(), b"dtype": value.dtype.str}
    raise ZooError("values of this type are not sent", got=type(value).__name__)


def _untagged(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ZooError("the message is nested too deeply", expected=f"<= {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_untagged(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    tags = [key for key in value if key.startswith("__")]
    if not tags:
        return {key: _untagged(item, depth + 1) for key, item in value.items()}
    names = _FIELDS.get(tags[0])
    if names is None or set(value) != names | {tags[0]}:
        raise ZooError(
            "the message holds something that is not unpacked",
            got=", ".join(sorted(value))[:200],
            expected=f"{_ARRAY} or {_TENSOR} with data, dtype and shape, or {_SCALAR} with data and dtype",
        )
    if tags[0] == _TENSOR:
        return _array(value, _tensor_dtype(value["dtype"]))
    dtype = _dtype(value["dtype"])
    return _array(value, dtype) if tags[0] == _ARRAY else _scalar(value["data"], dtype)


def _tensor_dtype(name: Any) -> np.dtype:
    found = _TENSOR_DTYPE.fullmatch(_text(name))
    if found is None:
        raise ZooError("tensors of this dtype are refused", got=_text(name)[:50], expected="such as float32")
    return np.dtype(found[1])


def _dtype(name: Any) -> np.dtype:
    name = _text(name)
    if not _DTYPE.fullmatch(name):
        raise ZooError(
            "arrays of this dtype are refused", got=name[:50], expected="numbers, such as <f4 or |u1"
        )
    try:
        return np.dtype(name)
    except TypeError as error:
        raise ZooError("no such dtype", got=name) from error


def _array(value: dict, dtype: np.dtype) -> np.ndarray:
    data, shape = value["data"], value["shape"]
    sound = (
        isinstance(data, bytes)
        and isinstance(shape, list)
        and len(shape) <= _MAX_DIMS
        and all(type(size) is int and size >= 0 for size in shape)
        and math.prod(shape) * dtype.itemsize == len(data)
    )
    if not sound:
        size = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise ZooError(
            "an array's data do not fill its shape",
            got=f"{size}, shape {str(shape)[:80]}",
            expected=f"the product of at most {_MAX_DIMS} sizes, times {dtype.itemsize} bytes",
        )
    return np.frombuffer(data, dtype).reshape(shape)


def _scalar(data: Any, dtype: np.dtype) -> np.generic:
    if not isinstance(data, bool | int | float):
        raise ZooError("a scalar's data are no number", got=type(data).__name__)
    try:
        return dtype.type(data)
    except (OverflowError, ValueError) as error:
        raise ZooError(f"a scalar does not fit {dtype}", got=str(data)[:50]) from error
