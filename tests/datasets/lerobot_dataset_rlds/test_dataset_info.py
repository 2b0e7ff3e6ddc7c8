import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rlds_samples import episodes

from lerobot_dataset_rlds.dataset_info import choose_splits, open_folder
from lerobot_dataset_rlds.writing import write_rlds
from lerobot_plugins.errors import ZooError


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return write_rlds(tmp_path, "sample", episodes(), shards=3)


def edit_info(version: Path, **changes: Any) -> None:
    path = version / "dataset_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_split(version: Path, **changes: Any) -> None:
    split = json.loads((version / "dataset_info.json").read_text())["splits"][0]
    edit_info(version, splits=[split | changes])


def test_the_version_is_found_from_any_folder_above(version: Path) -> None:
    for path in (version, version.parent, version.parent.parent):
        found = open_folder(path)
        assert (found.folder, found.name, found.version) == (version, "sample", "1.0.0")
        assert [shard.name for shard in found.splits["train"].shards] == [
            f"sample-train.tfrecord-0000{i}-of-00003" for i in range(3)
        ]
        assert found.splits["train"].lengths == (1, 1, 1)


def test_splits_are_joined_in_the_order_asked_for(tmp_path: Path) -> None:
    write_rlds(tmp_path, "sample", episodes(), split="train")
    version = write_rlds(tmp_path, "sample", episodes((4,)), split="val")
    found = open_folder(version)
    assert [split.name for split in choose_splits(found, "val+train")] == ["val", "train"]
    with pytest.raises(ZooError, match=r"no split 'test'[^$]*train, val"):
        choose_splits(found, "test")
    with pytest.raises(ZooError, match="twice"):
        choose_splits(found, "train+val+train")


def test_a_missing_description_lists_what_was_found(version: Path) -> None:
    (version / "dataset_info.json").unlink()
    with pytest.raises(ZooError, match=r"no dataset_info.json[^$]*1.0.0/features.json"):
        open_folder(version.parent)
    shutil.rmtree(version)
    with pytest.raises(ZooError, match="an empty folder"):
        open_folder(version.parent)
    with pytest.raises(ZooError, match="is not a folder"):
        open_folder(version)


def test_several_data_sets_must_be_told_apart(version: Path) -> None:
    shutil.copytree(version, version.with_name("1.1.0"))
    with pytest.raises(ZooError, match=r"2 data sets or versions[^$]*1.0.0, 1.1.0"):
        open_folder(version.parent)


def test_missing_features_and_shards_are_named(version: Path) -> None:
    (version / "sample-train.tfrecord-00001-of-00003").unlink()
    with pytest.raises(ZooError, match=r"1 of 3 missing: sample-train.tfrecord-00001-of-00003"):
        open_folder(version)
    edit_split(version, shardLengths=[])
    with pytest.raises(ZooError, match="no shardLengths for the split 'train'"):
        open_folder(version)
    (version / "features.json").unlink()
    edit_info(version, splits=[])
    with pytest.raises(ZooError, match="names no splits"):
        open_folder(version)


@pytest.mark.parametrize(
    "splits",
    [[{"nam": 3}], [3], {"train": 1}, [{"name": "train", "shardLengths": ["x", "2"]}], [{"name": ["a"]}]],
)
def test_malformed_splits_are_refused(version: Path, splits: Any) -> None:
    edit_info(version, splits=splits)
    with pytest.raises(ZooError, match=r"dataset_info\.json"):
        open_folder(version)


@pytest.mark.parametrize(
    "template", ["../{DATASET}", "/etc/passwd", "{DATASET}/{SPLIT}", "{OTHER}", ".hidden", ""]
)
def test_templates_cannot_leave_the_folder(version: Path, template: str) -> None:
    edit_split(version, filepathTemplate=template)
    if template:
        with pytest.raises(ZooError, match="not supported"):
            open_folder(version)
    else:
        assert open_folder(version).splits["train"].shards[0].is_file()


def test_other_file_formats_and_broken_json_are_named(version: Path) -> None:
    edit_info(version, fileFormat="array_record")
    with pytest.raises(ZooError, match="array_record"):
        open_folder(version)
    (version / "dataset_info.json").write_text("{")
    with pytest.raises(ZooError, match="not valid JSON"):
        open_folder(version)
    (version / "dataset_info.json").write_text("[]")
    with pytest.raises(ZooError, match="no JSON object"):
        open_folder(version)
