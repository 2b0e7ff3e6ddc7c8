"""ROS 2 messages as dictionaries to and from CDR, by rosbags: a ROS 2 encoder that is not the plugin's."""

from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
# Kinds of fields in rosbags' definitions.
_MESSAGE, _ARRAYS = 2, (3, 4)


def to_cdr(type_name: str, message: Any) -> bytes:
    """A dictionary as a ROS 2 message's bytes."""
    return bytes(STORE.serialize_cdr(_built(_full(type_name), message), _full(type_name)))


def from_cdr(type_name: str, data: bytes) -> dict[str, Any]:
    """The bytes of a ROS 2 message as a dictionary."""
    return _plain(STORE.deserialize_cdr(data, _full(type_name)))


def _full(type_name: str) -> str:
    package, name = type_name.split("/")
    return f"{package}/msg/{name}"


def _built(full: str, value: Any) -> Any:
    """The message of a dictionary, field by field as the message's definition says."""
    made = {}
    for name, (kind, of) in STORE.fielddefs[full][1]:
        item = value[name]
        if int(kind) == _MESSAGE:
            made[name] = _built(of, item)
        elif int(kind) in _ARRAYS and of[0][1][0] != "string":
            dtype = of[0][1][0]
            made[name] = (
                np.frombuffer(item, np.uint8) if isinstance(item, bytes) else np.array(item, np.dtype(dtype))
            )
        else:
            made[name] = item
    return STORE.types[full](**made)


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {
            name: _plain(getattr(value, name)) for name in value.__dataclass_fields__ if name != "__msgtype__"
        }
    return value.tolist() if isinstance(value, np.ndarray) else value
