"""Write an RLDS data set (TFDS layout, TFRecord shards) from arrays and encoded images, without TensorFlow.

    <root>/<name>/<version>/features.json, dataset_info.json, <name>-<split>.tfrecord-00000-of-00001

Meant for sample data, tests and benchmarks; `tensorflow_datasets.builder_from_directory` reads it as well.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lerobot_dataset_rlds.example import encode_example
from lerobot_dataset_rlds.tfrecord import TFRecordWriter
from lerobot_plugins.errors import ZooError

Values = np.ndarray | Sequence[bytes | str]
_TFDS = "tensorflow_datasets.core.features."
_IMAGE_FORMATS = {"JPEG": "jpeg", "PNG": "png"}


def write_rlds(
    root: Path,
    name: str,
    episodes: Iterable[Mapping[str, Any]],
    split: str = "train",
    shards: int = 1,
    version: str = "1.0.0",
    description: str = "",
) -> Path:
    """Write one split; called again with another split of the same name and version, adds to it.

    Args:
        root: The folder that will hold `<name>/<version>`.
        name: Name of the data set.
        episodes: `{"steps": {path: values}, "episode_metadata": {path: value}}` each. A step's values are an
            array (T, ...) of floats, integers or booleans, or T strings, or T encoded JPEG or PNG images;
            paths are nested by `/` (`observation/image`).
        split: Name of the split.
        shards: Number of files; episodes are spread over them in order.
        version: Version of the data set, which is the folder's name.
        description: What the data set is.

    Returns:
        The version folder.

    Raises:
        ZooError: No episodes, or episodes (or splits) whose features differ.
    """
    folder = Path(root) / name / version
    folder.mkdir(parents=True, exist_ok=True)
    features: dict[str, Any] = {}
    records: list[bytes] = []
    for episode in episodes:
        found = _describe(episode)
        features = features or found
        if found != features:
            raise ZooError(
                f"episode {len(records)} has other features than the first", got=found, expected=features
            )
        records.append(encode_example(_columns(episode)))
    if not records:
        raise ZooError(f"the split '{split}' of '{name}' has no episodes")

    lengths, data_bytes = [], 0
    for shard, numbers in enumerate(np.array_split(np.arange(len(records)), shards)):
        file_name = f"{name}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"
        with TFRecordWriter(folder / file_name) as writer:
            for number in numbers:
                writer.write(records[number])
        lengths.append(writer.records)
        data_bytes += writer.data_bytes
    _write_features(folder / "features.json", features)
    _write_info(
        folder / "dataset_info.json", name, version, description, _split_info(split, lengths, data_bytes)
    )
    return folder


def _columns(episode: Mapping[str, Any]) -> dict[str, Sequence[bytes] | np.ndarray]:
    columns: dict[str, Sequence[bytes] | np.ndarray] = {
        f"steps/{path}": _as_column(values) for path, values in episode["steps"].items()
    }
    for path, value in episode.get("episode_metadata", {}).items():
        columns[f"episode_metadata/{path}"] = _as_column(_one(value))
    return columns


def _one(value: Any) -> Values:
    """One value of an episode as a column of one."""
    return [value] if isinstance(value, str | bytes) else np.asarray(value)[None]


def _as_column(values: Values) -> Sequence[bytes] | np.ndarray:
    if isinstance(values, np.ndarray):
        return values
    return [value.encode() if isinstance(value, str) else value for value in values]


def _describe(episode: Mapping[str, Any]) -> dict[str, Any]:
    steps = _features_dict({path: _feature(values) for path, values in episode["steps"].items()})
    metadata = {path: _feature(_one(value)) for path, value in episode.get("episode_metadata", {}).items()}
    return _dict_feature(
        {
            "steps": {
                "pythonClassName": _TFDS + "dataset_feature.Dataset",
                "sequence": {"feature": steps, "length": "-1"},
            },
            "episode_metadata": _features_dict(metadata),
        }
    )


def _feature(values: Values) -> dict[str, Any]:
    """TFDS' description of one feature, from a column of its values."""
    if isinstance(values, np.ndarray):
        shape = values.shape[1:]
        kind = "tensor_feature.Tensor" if shape else "scalar.Scalar"
        return {
            "pythonClassName": _TFDS + kind,
            "tensor": {"shape": _shape(shape), "dtype": values.dtype.name, "encoding": "none"},
        }
    if isinstance(values[0], str):
        return {"pythonClassName": _TFDS + "text_feature.Text", "text": {}}
    with Image.open(io.BytesIO(values[0])) as image:
        shape = (image.height, image.width, len(image.getbands()))
        encoding = _IMAGE_FORMATS[str(image.format)]
    return {
        "pythonClassName": _TFDS + "image_feature.Image",
        "image": {"shape": _shape(shape), "dtype": "uint8", "encodingFormat": encoding},
    }


def _shape(shape: tuple[int, ...]) -> dict[str, list[str]]:
    return {"dimensions": [str(size) for size in shape]} if shape else {}


def _features_dict(flat: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Nest `a/b` paths as TFDS nests its FeaturesDicts."""
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, feature in flat.items():
        head, _, rest = path.partition("/")
        if rest:
            groups.setdefault(head, {})[rest] = feature
        else:
            nested[head] = feature
    nested |= {head: _features_dict(group) for head, group in groups.items()}
    return _dict_feature(nested)


def _dict_feature(features: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "pythonClassName": _TFDS + "features_dict.FeaturesDict",
        "featuresDict": {"features": dict(sorted(features.items()))},
    }


def _split_info(split: str, lengths: list[int], data_bytes: int) -> dict[str, Any]:
    return {
        "name": split,
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "numBytes": str(data_bytes),
        "shardLengths": [str(length) for length in lengths],
    }


def _write_features(path: Path, features: dict[str, Any]) -> None:
    if path.exists() and json.loads(path.read_text()) != features:
        raise ZooError(
            f"{path} describes other features than these episodes have", do="choose another version"
        )
    _write_json(path, features)


def _write_info(path: Path, name: str, version: str, description: str, split: dict[str, Any]) -> None:
    others = json.loads(path.read_text())["splits"] if path.exists() else []
    info = {
        "description": description,
        "fileFormat": "tfrecord",
        "moduleName": __name__,
        "name": name,
        "releaseNotes": {version: description},
        "splits": [other for other in others if other["name"] != split["name"]] + [split],
        "version": version,
    }
    _write_json(path, info)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    temporary.replace(path)
