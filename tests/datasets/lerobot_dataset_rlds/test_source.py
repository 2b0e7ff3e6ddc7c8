import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rlds_samples import damage, encoded, episode, episodes, libero_source

from lerobot_dataset_rlds import PRESETS
from lerobot_dataset_rlds.mapping import CameraMapping, ColumnMapping, Part, RldsMapping, load_mapping
from lerobot_dataset_rlds.source import RldsSource
from lerobot_dataset_rlds.writing import write_rlds
from lerobot_plugins.conversion.preview import preview
from lerobot_plugins.errors import ZooError

LIBERO = load_mapping(PRESETS / "libero.yaml")


def mapped(columns: Mapping[str, ColumnMapping], **changes: Any) -> RldsMapping:
    return replace(LIBERO, columns={"action": ColumnMapping((Part("action"),)), **columns}, **changes)


def test_episodes_come_from_all_shards_in_order(tmp_path: Path) -> None:
    source = pickle.loads(pickle.dumps(libero_source(tmp_path)))
    assert len(source) == 3
    assert source.locate(2) == "sample-train.tfrecord-00001-of-00002, record 0, byte 0"
    for index, expected in enumerate(episodes()):
        read = source.read(index)
        steps = expected["steps"]
        np.testing.assert_array_equal(read.columns["action"], steps["action"])
        np.testing.assert_array_equal(read.columns["observation.state"], steps["observation/state"])
        assert list(map(bytes, read.images["observation.images.image"].encoded)) == steps["observation/image"]
        assert list(read.tasks) == steps["language_instruction"]


def test_features_have_names_and_sizes(tmp_path: Path) -> None:
    features = libero_source(tmp_path).features
    assert features["action"]["names"] == ["dx", "dy", "dz", "drx", "dry", "drz", "gripper"]
    assert features["observation.images.image2"] == {
        "dtype": "image",
        "shape": (64, 64, 3),
        "names": ["height", "width", "channels"],
    }


def test_parts_are_sliced_and_joined(tmp_path: Path) -> None:
    write_rlds(tmp_path, "sample", episodes())
    mapping = mapped(
        {
            "observation.state": ColumnMapping((Part("observation/state", 6, 8), Part("reward"))),
            "next.reward": ColumnMapping((Part("reward"),)),
            "is_first": ColumnMapping((Part("is_first"),)),
            "id": ColumnMapping((Part("episode_metadata/episode_id"),)),
        },
        task_path="episode_metadata/file_path",
    )
    source = RldsSource.open(tmp_path, mapping)
    steps, read = episodes()[1]["steps"], source.read(1)
    expected = np.concatenate([steps["observation/state"][:, 6:], steps["reward"][:, None]], axis=1)
    np.testing.assert_array_equal(read.columns["observation.state"], expected)
    assert source.features["observation.state"]["names"] == ["state_0", "state_1", "state_2"]
    assert source.features["is_first"] == {"dtype": "bool", "shape": (1,), "names": ["is_first_0"]}
    assert read.columns["id"].tolist() == [[1]] * 9
    assert read.tasks[0] == "recorded/1.hdf5"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            mapped({"x": ColumnMapping((Part("observation/stat"),))}),
            r"asks for 'observation/stat'[^$]*observation/state",
        ),
        (mapped({"x": ColumnMapping((Part("observation/image"),))}), "as a field of the kind number"),
        (mapped({}, images={"x": CameraMapping("action")}), "as a field of the kind image"),
        (mapped({}, task_path="action"), "as a field of the kind text"),
        (mapped({"x": ColumnMapping((Part("action", 7, 9),))}), "slices 'action'"),
        (mapped({"x": ColumnMapping((Part("action", 5, 9),))}), "slices 'action'"),
        (mapped({"x": ColumnMapping((Part("action", -8, 3),))}), "slices 'action'"),
        (
            mapped({"x": ColumnMapping((Part("reward"),), ("a", "b"))}),
            r"names other dimensions for 'x'[^$]*2 names",
        ),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path: Path, mapping: RldsMapping, message: str) -> None:
    write_rlds(tmp_path, "sample", episodes())
    with pytest.raises(ZooError, match=message):
        RldsSource.open(tmp_path, mapping)


def test_another_number_of_episodes_is_refused(tmp_path: Path) -> None:
    source = libero_source(tmp_path)
    info = source.folder.folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"2",', '"3",'))
    with pytest.raises(ZooError, match="another number of episodes"):
        RldsSource.open(tmp_path, LIBERO)


def test_a_truncated_shard_is_refused_or_its_lost_episodes_are_named(tmp_path: Path) -> None:
    path = libero_source(tmp_path).shards[0].path
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ZooError, match="truncated"):
        RldsSource.open(tmp_path, LIBERO)
    source = RldsSource.open(tmp_path, LIBERO, tolerate_damage=True)
    assert len(source) == 3
    assert len(source.read(0).tasks) == 5
    with pytest.raises(ZooError, match="truncated"):
        source.read(1)
    assert source.locate(1) == "sample-train.tfrecord-00000-of-00002, record 1"
    assert len(source.read(2).tasks) == 3


@pytest.mark.parametrize("left", [0, 1], ids=["an empty shard", "a shard that ends early"])
def test_a_short_shard_is_refused_or_its_lost_episodes_are_named(tmp_path: Path, left: int) -> None:
    shard = libero_source(tmp_path).shards[0]
    shard.path.write_bytes(shard.path.read_bytes()[: shard.records[left].offset])
    with pytest.raises(ZooError, match="another number of episodes"):
        RldsSource.open(tmp_path, LIBERO)
    source = RldsSource.open(tmp_path, LIBERO, tolerate_damage=True)
    for index in range(left, 2):
        with pytest.raises(ZooError, match=rf"another number of episodes[^$]*got: +{left}[^$]*expected: +2"):
            source.read(index)
    assert len(source.read(2).tasks) == 3


def without_sizes(version: Path) -> None:
    """Leave the size of pictures open in features.json."""
    path = version / "features.json"
    text = json.loads(path.read_text())
    step = text["featuresDict"]["features"]["steps"]["sequence"]["feature"]["featuresDict"]["features"]
    for camera in ("image", "wrist_image"):
        shape = step["observation"]["featuresDict"]["features"][camera]["image"]["shape"]
        shape["dimensions"] = ["-1", "-1", "3"]
    path.write_text(json.dumps(text))


def test_the_size_of_pictures_may_be_left_open(tmp_path: Path) -> None:
    without_sizes(write_rlds(tmp_path, "sample", episodes()))
    assert RldsSource.open(tmp_path, LIBERO).features["observation.images.image"]["shape"] == (64, 64, 3)


def test_the_size_comes_from_the_first_picture_that_can_be_read(tmp_path: Path) -> None:
    version = write_rlds(tmp_path, "sample", episodes(), shards=3)
    shards = sorted(version.glob("*tfrecord*"))
    damage(shards[0], 200, b"damage")
    without_sizes(version)
    assert RldsSource.open(tmp_path, LIBERO).features["observation.images.image"]["shape"] == (64, 64, 3)
    for shard in shards[1:]:
        damage(shard, 200, b"damage")
    with pytest.raises(
        ZooError, match=r"episode 0 \(sample-train.tfrecord-00000-of-00003, record 0, byte 0\)"
    ):
        RldsSource.open(tmp_path, LIBERO)


def test_an_episode_of_other_dimensions_is_named(tmp_path: Path) -> None:
    odd = episode(0, 10)
    version = write_rlds(tmp_path, "sample", [odd])
    features = version / "features.json"
    features.write_text(features.read_text().replace('"7"', '"6"'))
    source = RldsSource.open(tmp_path, mapped({}))
    with pytest.raises(
        ZooError, match=r"'steps/action' has other dimensions[^$]*70 entries for 10 steps \(7 a step\)"
    ):
        source.read(0)


def test_the_fingerprint_names_the_content_and_no_path(tmp_path: Path) -> None:
    first, second = libero_source(tmp_path / "a"), libero_source(tmp_path / "b")
    assert first.fingerprint() == second.fingerprint()
    assert str(tmp_path) not in json.dumps(first.fingerprint())
    third = libero_source(tmp_path / "c", lengths=(5, 9, 4))
    assert first.fingerprint() != third.fingerprint()


def test_writing_describes_pictures_of_both_kinds(tmp_path: Path) -> None:
    mixed = episode(0, 2)
    mixed["steps"]["observation/wrist_image"] = [encoded(1, "PNG"), encoded(2, "PNG")]
    write_rlds(tmp_path, "sample", [mixed])
    source = RldsSource.open(tmp_path, LIBERO)
    assert bytes(source.read(0).images["observation.images.image2"].encoded[0][:4]) == b"\x89PNG"


def test_writing_refuses_episodes_that_differ(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="other features than the first"):
        write_rlds(tmp_path, "sample", [episode(0, 2), episode(0, 2, "PNG")])
    with pytest.raises(ZooError, match="no episodes"):
        write_rlds(tmp_path, "sample", [])


def test_damage_is_located_once(tmp_path: Path) -> None:
    source = libero_source(tmp_path)
    damage(source.shards[1].path, 500, b"damage")
    with pytest.raises(ZooError) as error:
        preview(source, images="jpeg", on_error="stop")
    assert error.value.what == (
        "episode 2 (sample-train.tfrecord-00001-of-00002, record 0, byte 0): the record's data is damaged"
    )
    assert "--on-error skip" in str(error.value)
    skipped = preview(source, images="jpeg", on_error="skip").skipped[2]
    assert "--on-error" not in str(skipped)
