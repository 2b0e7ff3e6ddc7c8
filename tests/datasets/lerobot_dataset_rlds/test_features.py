from typing import Any

import numpy as np
import pytest

from lerobot_dataset_rlds.features import (
    Field,
    count_steps,
    read_fields,
    read_images,
    read_numbers,
    read_texts,
)
from lerobot_plugins.errors import ZooError


def tensor(dtype: str, *shape: int, **more: Any) -> dict[str, Any]:
    dimensions = {"dimensions": [str(size) for size in shape]} if shape else {}
    return {
        "pythonClassName": "x.Tensor",
        "tensor": {"dtype": dtype, "shape": dimensions, "encoding": "none", **more},
    }


def features(**steps: Any) -> dict[str, Any]:
    step = {"pythonClassName": "x.FeaturesDict", "featuresDict": {"features": steps}}
    return {"featuresDict": {"features": {"steps": {"sequence": {"feature": step, "length": "-1"}}}}}


def test_fields_are_found_by_path() -> None:
    nested = {"featuresDict": {"features": {"state": tensor("float64", 7), "label": {"classLabel": {}}}}}
    description = features(observation=nested, done=tensor("bool"), text={"text": {}})
    description["featuresDict"]["features"]["episode_metadata"] = {
        "featuresDict": {"features": {"id": tensor("int32")}}
    }
    assert read_fields(description) == {
        "observation/state": Field("steps/observation/state", "number", (7,), "float64"),
        "observation/label": Field("steps/observation/label", "number", (), "int64"),
        "done": Field("steps/done", "number", (), "bool"),
        "text": Field("steps/text", "text"),
        "episode_metadata/id": Field("episode_metadata/id", "number", (), "int32"),
    }


@pytest.mark.parametrize(
    ("feature", "problem"),
    [
        ({"sequence": {"feature": tensor("float32"), "length": "-1"}}, "ragged"),
        ({"pythonClassName": "a.b.Video", "video": {}}, "kind Video"),
        (tensor("float32", -1, 3), "varying or empty shape"),
        (tensor("float32", 0), "varying or empty shape"),
        (tensor("float32", 3, encoding="zlib"), "encoding zlib"),
        (tensor("complex64", 3), "complex64"),
        (tensor("bfloat16", 3), "bfloat16"),
        (tensor("string", 3), "several texts"),
        ({"image": {"shape": {"dimensions": ["8", "8", "1"]}, "dtype": "uint16"}}, "only uint8 RGB"),
    ],
)
def test_what_cannot_be_read_says_why(feature: dict[str, Any], problem: str) -> None:
    field = read_fields(features(x=feature))["x"]
    assert field.kind == "unsupported"
    assert problem in field.problem


@pytest.mark.parametrize(
    "description",
    [
        {"featuresDict": 3},
        {"featuresDict": {"features": {"steps": {"sequence": {}}}}},
        features(x={"tensor": {"shape": {"dimensions": ["many"]}, "dtype": "float32"}}),
        features(x=3),
    ],
)
def test_malformed_descriptions_are_refused(description: dict[str, Any]) -> None:
    with pytest.raises(ZooError, match=r"features\.json is not understood"):
        read_fields(description)


def test_a_field_of_another_kind_in_an_episode_is_named() -> None:
    columns = {"steps/x": np.zeros(2, np.float32), "steps/n": [memoryview(b"a"), memoryview(b"b")]}
    for read, kind in ((read_texts, "text"), (read_images, "image")):
        with pytest.raises(ZooError, match=f"holds no {kind}"):
            read(Field("steps/x", kind), columns, 2)
    with pytest.raises(ZooError, match="holds no numbers"):
        read_numbers(Field("steps/n", "number", (), "float32"), columns, 2)


def test_other_descriptions_are_refused() -> None:
    with pytest.raises(ZooError, match="present form"):
        read_fields({"type": "tensorflow_datasets.core.features.FeaturesDict", "content": {}})
    with pytest.raises(ZooError, match="not RLDS"):
        read_fields({"featuresDict": {"features": {"image": {}}}})


FIELDS = {
    "action": Field("steps/action", "number", (3,), "float32"),
    "is_first": Field("steps/is_first", "number", (), "bool"),
    "small": Field("steps/small", "number", (), "uint8"),
    "text": Field("steps/text", "text"),
    "id": Field("episode_metadata/id", "number", (2,), "int32"),
}


def test_values_have_their_shape_and_type() -> None:
    columns = {
        "steps/action": np.arange(6, dtype=np.float32),
        "steps/is_first": np.array([1, 0]),
        "episode_metadata/id": np.array([4, 5]),
        "steps/text": [memoryview("é".encode()), memoryview(b"b")],
    }
    steps = count_steps(FIELDS, columns)
    assert steps == 2
    assert read_numbers(FIELDS["action"], columns, steps).tolist() == [[0, 1, 2], [3, 4, 5]]
    flags = read_numbers(FIELDS["is_first"], columns, steps)
    assert flags.dtype == np.bool_
    assert flags.tolist() == [True, False]
    assert read_numbers(FIELDS["id"], columns, steps).tolist() == [[4, 5], [4, 5]]
    assert read_texts(FIELDS["text"], columns, steps) == ["é", "b"]


@pytest.mark.parametrize(
    ("columns", "name", "message"),
    [
        ({"steps/action": np.zeros(4, np.float32)}, "action", r"other dimensions[^$]*2 a step"),
        ({}, "action", "is missing in this episode"),
        ({"steps/action": np.zeros(6, np.int64)}, "action", r"another kind[^$]*int64"),
        ({"steps/action": [b""] * 6}, "action", "holds no numbers"),
        ({"steps/small": np.array([1, 256])}, "small", "beyond its type"),
        ({"steps/text": [b"\xff", b""]}, "text", r"is no text[^$]*UTF-8"),
    ],
)
def test_entries_that_do_not_fit_are_named(columns: dict[str, Any], name: str, message: str) -> None:
    read = read_texts if name == "text" else read_numbers
    with pytest.raises(ZooError, match=message):
        read(FIELDS[name], columns | {"steps/is_first": np.array([1, 0])}, 2)


def test_steps_are_not_counted_by_a_vector_of_the_wrong_length() -> None:
    assert count_steps(FIELDS, {"steps/action": np.zeros(60), "steps/is_first": np.zeros(12)}) == 12
    with pytest.raises(ZooError, match="no step has any field"):
        count_steps(FIELDS, {"other": np.zeros(3)})
