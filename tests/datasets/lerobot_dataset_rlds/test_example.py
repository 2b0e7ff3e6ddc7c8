import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rlds_protobuf import example_class

from lerobot_dataset_rlds.example import decode_varints, encode_example, parse_example
from lerobot_plugins.errors import ZooError

Example = example_class()


def comparable(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns as bytes, since NaNs differ from themselves."""
    return {
        name: column.tobytes() if isinstance(column, np.ndarray) else [bytes(value) for value in column]
        for name, column in columns.items()
    }


def by_protobuf(data: bytes) -> dict[str, Any]:
    message = Example()
    message.ParseFromString(data)
    columns: dict[str, Any] = {}
    for name, feature in message.features.feature.items():
        match feature.WhichOneof("kind"):
            case "float_list":
                columns[name] = np.array(feature.float_list.value, np.float32)
            case "int64_list":
                columns[name] = np.array(feature.int64_list.value, np.int64)
            case _:
                columns[name] = list(feature.bytes_list.value)
    return comparable(columns)


def varint(value: int, padding: int = 0) -> bytes:
    """A varint, made longer than it need be."""
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    if padding:
        digits[-1] |= 0x80
        digits += [0x80] * (padding - 1) + [0]
    return bytes(digits)


def delimited(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


numbers = st.integers(0, 2**64 - 1)
scraps = st.binary(max_size=6)
# Fields that no message of an Example knows, wrong wire types for those it knows, and broken ones.
unknown = st.one_of(
    st.builds(lambda n, v, p: varint(n << 3) + varint(v, p), st.integers(1, 9), numbers, st.integers(0, 3)),
    st.builds(lambda n, b: varint(n << 3 | 1) + b, st.integers(1, 9), st.binary(min_size=8, max_size=8)),
    st.builds(delimited, st.integers(3, 2**29 - 1), scraps),
    st.builds(lambda n, b: varint(n << 3 | 5) + b, st.integers(1, 9), st.binary(min_size=4, max_size=4)),
    st.builds(lambda n, b: varint(n << 3 | 3) + b + varint(n << 3 | 4), st.integers(3, 9), st.just(b"")),
)


def message(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(st.one_of(*parts, unknown), max_size=4).map(b"".join)


bytes_list = message(st.builds(delimited, st.just(1), scraps))
float_list = message(
    st.lists(st.binary(min_size=4, max_size=4), max_size=3).map(lambda v: delimited(1, b"".join(v))),
    st.binary(min_size=4, max_size=4).map(lambda value: varint(1 << 3 | 5) + value),
)
int64_list = message(
    st.lists(st.builds(varint, numbers, st.integers(0, 1)), max_size=4).map(
        lambda v: delimited(1, b"".join(v))
    ),
    st.builds(lambda value: varint(1 << 3) + varint(value), numbers),
)
feature = message(
    st.builds(delimited, st.just(1), bytes_list),
    st.builds(delimited, st.just(2), float_list),
    st.builds(delimited, st.just(3), int64_list),
)
names = st.sampled_from(["", "steps/action", "é"]).map(str.encode)
entry = message(st.builds(delimited, st.just(1), names), st.builds(delimited, st.just(2), feature))
features = message(st.builds(delimited, st.just(1), entry))
example = message(st.builds(delimited, st.just(1), features))


def agrees_with_protobuf(data: bytes) -> None:
    """The same columns, or an error where protobuf has one too, with two exceptions."""
    try:
        expected = by_protobuf(data)
    except DecodeError:
        with pytest.raises(ZooError):
            parse_example(data)
        return
    try:
        read = parse_example(data)
    except ZooError as error:
        # Where protobuf drops a feature, and for groups, an error is the better answer.
        assert re.search("map entry|wire type [34]", str(error))  # noqa: PT017
        return
    assert comparable(read) == expected


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(example)
def test_valid_messages_read_as_protobuf_reads_them(data: bytes) -> None:
    agrees_with_protobuf(data)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(example, st.integers(0, 200), scraps, st.integers(0, 200))
def test_damaged_messages_are_read_or_refused_as_by_protobuf(
    data: bytes, position: int, scrap: bytes, end: int
) -> None:
    position = min(position, len(data))
    damaged = (data[:position] + scrap + data[position + len(scrap) :])[: max(end, position)]
    start = time.perf_counter()
    agrees_with_protobuf(damaged)
    assert time.perf_counter() - start < 0.5


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(example, st.binary(max_size=40)))
def test_ten_thousand_messages(data: bytes) -> None:
    agrees_with_protobuf(data)


def test_what_is_encoded_is_read_by_protobuf_and_by_us() -> None:
    columns: dict[str, Any] = {
        "steps/action": np.arange(6, dtype=np.float32).reshape(2, 3),
        "steps/is_first": np.array([True, False]),
        "steps/number": np.array([0, -1, 127, 128, 2**63 - 1, -(2**63)]),
        "steps/image": [b"\xff\xd8", b""],
        "nothing": np.empty(0, np.int64),
    }
    data = encode_example(columns)
    read = parse_example(data)
    assert comparable(read) == by_protobuf(data)
    np.testing.assert_array_equal(read["steps/action"], np.arange(6))
    np.testing.assert_array_equal(read["steps/number"], columns["steps/number"])
    assert read["steps/is_first"].tolist() == [1, 0]


@pytest.mark.parametrize(
    "encode", [lambda value: value.tobytes(), lambda value: b"".join(map(varint, value.tolist()))]
)
def test_images_are_not_copied(encode: Callable[[np.ndarray], bytes]) -> None:
    data = encode_example({"image": [encode(np.arange(100, dtype=np.uint8))]})
    assert parse_example(data)["image"][0].obj is data


def test_varints_of_all_lengths() -> None:
    values = [0, 1] + [2**bits - 1 for bits in range(1, 65)] + [2**bits for bits in range(1, 64)]
    packed = b"".join(map(varint, values))
    expected = np.array(values, np.uint64).view(np.int64)
    np.testing.assert_array_equal(decode_varints(memoryview(packed)), expected)


def test_what_is_not_bytes_or_a_number_is_refused() -> None:
    with pytest.raises(ZooError, match="no place"):
        encode_example({"time": np.array(["2026-01-01"], dtype="datetime64[D]")})
