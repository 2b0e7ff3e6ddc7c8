"""Split and merged is the same as whole; datasets of other writers can be merged; others are refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rlds_samples import libero_source, run_and_kill, tree
from toy_data import write_toy_dataset

from lerobot_plugins.cli.main import main
from lerobot_plugins.conversion import layout
from lerobot_plugins.conversion.layout import FileLimits
from lerobot_plugins.conversion.merging import merge_datasets
from lerobot_plugins.conversion.shard import Shard, shard_root
from lerobot_plugins.conversion.writer import write_dataset
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.exact import exact_statistics

LENGTHS = (5, 9, 3, 12, 7, 4, 8)
COUNT = 3


@pytest.fixture(scope="module", params=["video", "jpeg"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole conversion, and the same split into three."""
    folder = tmp_path_factory.mktemp(request.param)
    source = libero_source(folder / "rlds", LENGTHS)
    write_dataset(source, folder / "whole", images=request.param)
    for number in range(COUNT):
        root = shard_root(folder / "parts", number, COUNT)
        write_dataset(Shard(source, number, COUNT), root, images=request.param)
    return folder


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("parts-*"))


def content(root: Path) -> dict[str, str]:
    """All files but the provenance, which says that it was merged."""
    return {name: digest for name, digest in tree(root).items() if name != "meta/provenance.json"}


def test_split_and_merged_is_the_same_as_whole(folder: Path, tmp_path: Path) -> None:
    assert [path.name for path in parts(folder)] == [f"parts-0000{i}-of-00003" for i in range(COUNT)]
    made = merge_datasets(parts(folder), tmp_path / "merged")
    assert (made.episodes, made.frames) == (len(LENGTHS), sum(LENGTHS))
    assert content(made.root) == content(folder / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged"]
    dataset = LeRobotDataset("local/x", root=made.root, video_backend="pyav")
    assert dataset[20]["episode_index"] == 3


def test_a_killed_merge_continues(folder: Path, tmp_path: Path) -> None:
    for seconds in (0.02, 0.05, 0.1, 0.2):
        if run_and_kill(lambda: merge_datasets(parts(folder), tmp_path / "merged"), seconds):
            break
    if not (tmp_path / "merged").exists():
        merge_datasets(parts(folder), tmp_path / "merged")
    assert content(tmp_path / "merged") == content(folder / "whole")


def test_files_within_limits_are_cut_and_joined_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "_MEGABYTE", 100)
    limits = FileLimits(data_mb=1, video_mb=1, files_per_chunk=2)
    merge_datasets(parts(folder), tmp_path / "small", limits)
    assert len(list((tmp_path / "small/data").rglob("*.parquet"))) == len(LENGTHS)
    whole = (folder / "whole", tmp_path / "small")
    one, other = (LeRobotDataset("local/x", root=root, video_backend="pyav") for root in whole)
    for index in range(0, sum(LENGTHS), 3):
        for key, value in one[index].items():
            assert (
                (value == other[index][key]) if isinstance(value, str) else (value == other[index][key]).all()
            )


def test_parts_that_are_missing_or_out_of_order_are_named(folder: Path, tmp_path: Path) -> None:
    first, second, third = parts(folder)
    with pytest.raises(ZooError, match=r"split into 3 are missing[^$]*parts 0, 2[^$]*also 1"):
        merge_datasets([first, third], tmp_path / "merged")
    with pytest.raises(ZooError, match="out of order"):
        merge_datasets([first, third, second], tmp_path / "merged")
    with pytest.raises(ZooError, match="named twice"):
        merge_datasets([first, first], tmp_path / "merged")
    assert not list(tmp_path.iterdir())


def test_datasets_of_lerobot_are_merged_with_tasks_renumbered(tmp_path: Path) -> None:
    write_toy_dataset(tmp_path / "a", lengths=(4, 3), size=32)
    write_toy_dataset(tmp_path / "b", lengths=(3,), size=32, seed=1)
    table = pq.read_table(tmp_path / "b/meta/tasks.parquet").to_pandas()
    table.index = ["pour the tea"]
    table.index.name = "task"
    table.to_parquet(tmp_path / "b/meta/tasks.parquet")
    made = merge_datasets([tmp_path / "b", tmp_path / "a"], tmp_path / "merged")
    one, a, b = (LeRobotDataset("local/x", root=tmp_path / name) for name in ("merged", "a", "b"))
    assert list(one.meta.tasks.index) == ["pour the tea", "pick up the soup", "open the drawer"]
    for index in range(10):
        item, expected = one[index], b[index] if index < 3 else a[index - 3]
        assert item["task"] == expected["task"]
        assert item["index"] == index
        for key in ("action", "observation.state", "observation.images.image", "timestamp", "frame_index"):
            assert (item[key] == expected[key]).all()
    actions = np.concatenate([np.array(dataset.hf_dataset["action"]) for dataset in (b, a)])
    statistics = LeRobotDatasetMetadata("local/x", root=made.root).stats
    for name, value in exact_statistics(actions).items():
        np.testing.assert_array_equal(statistics["action"][name], value)
    mine, others = statistics["observation.images.image"], (b.meta.stats, a.meta.stats)
    counts = [other["observation.images.image"]["count"] for other in others]
    means = [other["observation.images.image"]["mean"] for other in others]
    np.testing.assert_allclose(mine["mean"], np.average(means, axis=0, weights=np.ravel(counts)))


def test_videos_of_lerobot_are_merged_without_encoding(checkout: Path, tmp_path: Path) -> None:
    sample = checkout / "examples/sample_data/lerobot/libero_sample"
    shutil.copytree(sample, tmp_path / "other")
    made = merge_datasets([sample, tmp_path / "other"], tmp_path / "merged")
    assert made.frames == 2 * 823
    one, whole = (LeRobotDataset("local/x", root=root, video_backend="pyav") for root in (made.root, sample))
    for index in (0, 400, 822):
        for twin in (index, 823 + index):
            for camera in ("observation.images.image", "observation.images.image2"):
                assert (one[twin][camera] == whole[index][camera]).all()


def test_other_forms_are_refused_with_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_toy_dataset(tmp_path / "a", lengths=(3,), size=32)
    write_toy_dataset(tmp_path / "b", lengths=(3,), size=24, cameras=("image",), action_names=["x", "y"])
    info = json.loads((tmp_path / "b/meta/info.json").read_text())
    (tmp_path / "b/meta/info.json").write_text(json.dumps(info | {"fps": 10}))
    merge = ["merge", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "merged")]
    assert main(merge) == 2
    said = capsys.readouterr().err
    for difference in (
        "fps 20, 10",
        "observation.images.image: shape [32, 32, 3], [24, 24, 3]",
        "observation.images.image2 is in the first only",
        "action: shape [7], [2]",
    ):
        assert difference in said
    assert main(["merge", str(tmp_path / "a"), str(tmp_path), "--output", str(tmp_path / "merged")]) == 2
    assert "holds no LeRobotDataset" in capsys.readouterr().err
    assert main(["merge", str(tmp_path / "a"), "--output", str(tmp_path / "merged")]) == 2
    assert main(["merge", *merge[1:3], "--output", str(tmp_path / "a")]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "count"), [(3, 3), (-1, 3), (0, 8)])
def test_shards_that_cannot_be_are_refused(tmp_path: Path, number: int, count: int) -> None:
    source: Any = libero_source(tmp_path / "rlds", LENGTHS)
    with pytest.raises(ZooError, match="shard"):
        Shard(source, number, count)


def test_the_quarantine_of_all_parts_is_kept(tmp_path: Path) -> None:
    source = libero_source(tmp_path / "rlds", LENGTHS, shards=1)
    with source.shards[0].path.open("r+b") as file:
        file.seek(source.shards[0].records[4].offset + 100)
        file.write(b"damage")
    arguments = ["convert", "rlds", str(tmp_path / "rlds"), "--preset", "libero", "--repo-id", "local/x"]
    arguments += ["--root", str(tmp_path / "out"), "--images", "jpeg", "--workers", "1"]
    arguments += ["--on-error", "quarantine", "--num-shards", "2"]
    assert main([*arguments, "--shard", "0"]) == 0
    assert main([*arguments, "--shard", "1"]) == 1
    roots = [str(path) for path in sorted(tmp_path.glob("out-*"))]
    assert main(["merge", *roots, "--output", str(tmp_path / "merged")]) == 0
    report = json.loads((tmp_path / "merged/meta/quarantine.json").read_text())
    (entry,) = report["set_aside"]
    assert report["converted"] == 6
    assert entry["location"].endswith("episode 4 of the source")
    assert entry["files"] == ["sample-train.tfrecord-00000-of-00001"]
    assert entry["part"] == "out-00001-of-00002"
    assert "the record's data is damaged" in entry["reason"]
