"""`tf.train.Example`, read and written without TensorFlow or protobuf.

An Example is a map from names to lists of bytes, float32 or int64
(tensorflow/core/example/{example,feature}.proto):

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }          map entry { string key = 1; Feature value = 2; }
    Feature  { oneof kind { BytesList = 1; FloatList = 2; Int64List = 3; } }
    *List    { repeated ... value = 1; }                    numbers packed or not

The reader walks the wire format over a memoryview and only slices: images are not copied. It follows
protobuf's rules (repeated messages merge, the last member of a oneof wins, unknown fields are skipped).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lerobot_plugins.errors import ZooError

Column = list[memoryview] | np.ndarray

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_BYTES, _FLOATS, _INTS = 1, 2, 3
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}


class Field(NamedTuple):
    """One field on the wire: its number, its wire type, its payload, or its value if it is a varint."""

    number: int
    wire_type: int
    payload: memoryview
    value: int = 0


def parse_example(data: bytes | memoryview) -> dict[str, Column]:
    """Parse one serialized `tf.train.Example`.

    Args:
        data: The message, e.g. one TFRecord record.

    Returns:
        For each feature a list of views into `data` (bytes), a float32 or an int64 array; an empty list for
        a feature of no kind.

    Raises:
        ZooError: The bytes are no Example; the message names the byte.
    """
    view = memoryview(data)
    columns: dict[str, Column] = {}
    for features in _messages(view, 1):
        for entry in _messages(features, 1):
            name, column = _parse_entry(entry)
            columns[name] = column
    return columns


def encode_example(columns: Mapping[str, Sequence[bytes] | np.ndarray]) -> bytes:
    """Serialize columns as one `tf.train.Example`, names in order, numbers packed.

    Floating arrays become FloatList (float32), integer and boolean ones Int64List, sequences of bytes
    BytesList.
    """
    entries = []
    for name in sorted(columns):
        feature = _encode_feature(columns[name])
        entry = _delimited(1, name.encode()) + _delimited(2, feature)
        entries.append(_delimited(1, entry))
    return _delimited(1, b"".join(entries))


def _parse_entry(entry: memoryview) -> tuple[str, Column]:
    key, features = memoryview(b""), []
    for field in _fields(entry):
        if field.wire_type == _LENGTH and field.number == 1:
            key = field.payload
        elif field.wire_type == _LENGTH and field.number == 2:
            features.append(field.payload)
        else:
            # Protobuf drops such an entry whole; a feature must not vanish silently.
            raise _malformed(f"a feature's map entry has the unknown field {field.number}")
    try:
        name = str(key, "utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(f"a feature's name is not UTF-8: {error}") from error
    return name, _parse_feature(features)


def _parse_feature(parts: list[memoryview]) -> Column:
    kind = _BYTES
    lists: list[memoryview] = []
    for part in parts:
        for field in _fields(part):
            if field.wire_type != _LENGTH or field.number not in (_BYTES, _FLOATS, _INTS):
                continue
            if field.number != kind:
                kind, lists = field.number, []
            lists.append(field.payload)
    if kind == _BYTES:
        return [value for part in lists for value in _messages(part, 1)]
    read_chunks = _float_chunks if kind == _FLOATS else _int_chunks
    chunks = [chunk for part in lists for chunk in read_chunks(part)]
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate([np.empty(0, np.float32 if kind == _FLOATS else np.int64), *chunks])


def _float_chunks(message: memoryview) -> Iterator[np.ndarray]:
    """The numbers of a FloatList: packed runs as they lie, single values as arrays of one."""
    for field in _fields(message):
        if field.number == 1 and field.wire_type in (_LENGTH, _FIXED32):
            if len(field.payload) % 4:
                raise _malformed(f"packed floats of {len(field.payload)} bytes")
            yield np.frombuffer(field.payload, dtype="<f4")


def _int_chunks(message: memoryview) -> Iterator[np.ndarray]:
    """The numbers of an Int64List: packed runs decoded at once, single values as arrays of one."""
    for field in _fields(message):
        if field.number == 1 and field.wire_type == _LENGTH:
            yield decode_varints(field.payload)
        elif field.number == 1 and field.wire_type == _VARINT:
            yield np.array([field.value], dtype=np.uint64).view(np.int64)


def decode_varints(packed: memoryview) -> np.ndarray:
    """A run of base-128 varints as int64."""
    raw = np.frombuffer(packed, dtype=np.uint8)
    if not len(raw):
        return np.empty(0, np.int64)
    ends = np.flatnonzero(raw < 0x80)
    if len(ends) == len(raw):
        return raw.astype(np.int64)
    if raw[-1] >= 0x80:
        raise _malformed("packed integers end within a varint")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise _malformed("a varint of more than 10 bytes")
    values = np.zeros(len(ends), dtype=np.uint64)
    for place in range(int(lengths.max())):
        longer = lengths > place
        digits = (raw[starts[longer] + place] & 0x7F).astype(np.uint64)
        values[longer] |= digits << np.uint64(7 * place)
    return values.view(np.int64)


def _messages(view: memoryview, number: int) -> Iterator[memoryview]:
    """The length-delimited fields of one number."""
    for field in _fields(view):
        if field.number == number and field.wire_type == _LENGTH:
            yield field.payload


def _fields(view: memoryview) -> Iterator[Field]:
    """Walk the fields of one message."""
    position, size = 0, len(view)
    while position < size:
        tag, position = _read_varint(view, position)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or tag > 0xFFFFFFFF:
            raise _malformed(f"the invalid tag {tag:#x} before byte {position}")
        payload, value = view[:0], 0
        if wire_type == _VARINT:
            value, position = _read_varint(view, position)
        elif wire_type in _FIXED_SIZES or wire_type == _LENGTH:
            if wire_type == _LENGTH:
                length, position = _read_varint(view, position)
            else:
                length = _FIXED_SIZES[wire_type]
            if length > size - position:
                raise _malformed(
                    f"field {number} at byte {position} wants {length} of {size - position} bytes"
                )
            payload = view[position : position + length]
            position += length
        else:
            # 3 and 4 are groups, an encoding abandoned before Examples existed.
            raise _malformed(f"wire type {wire_type} of field {number} before byte {position}")
        yield Field(number, wire_type, payload, value)


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if position >= len(view):
            raise _malformed("the message ends within a varint")
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise _malformed(f"a varint of more than 10 bytes before byte {position}")


def _encode_feature(values: Sequence[bytes] | np.ndarray) -> bytes:
    if not isinstance(values, np.ndarray):
        return _delimited(_BYTES, b"".join(_delimited(1, bytes(value)) for value in values))
    flat = values.reshape(-1)
    if np.issubdtype(flat.dtype, np.floating):
        return _delimited(_FLOATS, _delimited(1, flat.astype("<f4").tobytes()))
    if np.issubdtype(flat.dtype, np.integer) or flat.dtype == np.bool_:
        return _delimited(_INTS, _delimited(1, b"".join(map(_varint, flat.astype(np.int64).tolist()))))
    raise ZooError(
        "this dtype has no place in a tf.train.Example", got=flat.dtype, expected="float, int, bool or bytes"
    )


def _delimited(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _malformed(why: str) -> ZooError:
    return ZooError("a record is not a valid tf.train.Example", got=why, expected="what TFDS writes")
