"""Mixtures hold what was asked for, read as their sources do, and are the same every time."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rlds_samples import tree
from toy_data import write_toy_dataset

from lerobot_plugins.cli.main import main
from lerobot_plugins.conversion.merging import merge_datasets
from lerobot_plugins.conversion.mixing import Mixing, spread
from lerobot_plugins.conversion.part import Part
from lerobot_plugins.doctor.dataset.examination import examine
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.exact import exact_statistics
from lerobot_plugins.waypoints.rule import PRESETS
from lerobot_plugins.waypoints.training import training_waypoints

CAMERA = "observation.images.image"
LENGTHS = {"demos": (9, 7, 8, 6), "rft": (4, 5, 3)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small datasets of other frames."""
    folder = tmp_path_factory.mktemp("sources")
    for seed, (name, lengths) in enumerate(LENGTHS.items()):
        write_toy_dataset(folder / name, lengths=lengths, size=16, cameras=("image",), seed=seed)
    return folder


def origins(root: Path) -> list[list[int]]:
    return json.loads((root / "meta/provenance.json").read_text())["mixture"]["episodes"]


def assert_reads_as_its_sources(root: Path, sources: list[Path], cameras: tuple[str, ...]) -> None:
    """Every frame is that of the place that the provenance names."""
    opened = [LeRobotDataset("local/x", root=path, video_backend="pyav") for path in sources]
    mixed = LeRobotDataset("local/x", root=root, video_backend="pyav")
    index = 0
    for episode, (part, number, start, length) in enumerate(origins(root)):
        first = opened[part].meta.episodes[number]["dataset_from_index"] + start
        for frame in range(length):
            item, expected = mixed[index], opened[part][first + frame]
            assert (item["index"], item["episode_index"], item["frame_index"]) == (index, episode, frame)
            assert item["task"] == expected["task"]
            assert item["timestamp"] == pytest.approx(frame / mixed.meta.fps)
            for key in ("action", "observation.state", *cameras):
                assert (item[key] == expected[key]).all(), (episode, frame, key)
            index += 1
    assert index == len(mixed)


@pytest.mark.parametrize("times", [1, 1.3, 2.5, 4])
def test_episodes_are_repeated_evenly_and_frames_as_often_as_asked(times: float) -> None:
    lengths = np.random.default_rng(0).integers(20, 400, 300).tolist()
    counts = spread(lengths, times)
    assert set(counts) <= {int(times), int(np.ceil(times))}
    for part in (slice(None), slice(0, 100), slice(100, 200)):
        assert np.dot(counts[part], lengths[part]) == pytest.approx(times * sum(lengths[part]), abs=400)
    assert counts == spread(lengths, times)


def test_a_mixture_by_ratio(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sources = [folder / name for name in LENGTHS]
    command = ["merge", *map(str, sources), "--ratios", "0.6", "0.4", "--output", str(tmp_path / "mixed")]
    assert main(command) == 2
    shown = capsys.readouterr()
    assert f"{sources[1]}: 3 episodes as 5, 12 frames as 19, 38.78 % (asked: 40.00 %)" in shown.out
    assert "the datasets have different statistics" in shown.err
    assert main([*command, "--statistics-of", "all", "--dry-run"]) == 0
    assert not list(tmp_path.iterdir())
    assert main([*command, "--statistics-of", "all"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mixed"]
    assert_reads_as_its_sources(tmp_path / "mixed", sources, (CAMERA,))
    dataset = LeRobotDataset("local/x", root=tmp_path / "mixed")
    for key in ("action", "observation.state"):
        for name, value in exact_statistics(np.array(dataset.hf_dataset[key])).items():
            np.testing.assert_array_equal(dataset.meta.stats[key][name], value)
    # The first pass is what a merge without repetition is.
    plain = merge_datasets(sources, tmp_path / "plain")
    assert origins(tmp_path / "mixed")[:7] == [
        [part, number, 0, length]
        for part, lengths in enumerate(LENGTHS.values())
        for number, length in enumerate(lengths)
    ]
    assert plain.frames == 42


def test_the_statistics_of_one_source_are_kept(folder: Path, tmp_path: Path) -> None:
    sources = [folder / name for name in LENGTHS]
    command = ["merge", *map(str, sources), "--repeat", "1", "2.5", "--output", str(tmp_path / "mixed")]
    assert main([*command, "--statistics-of", str(folder / "demos")]) == 0
    mixed, kept = (
        json.loads((root / "meta/stats.json").read_text()) for root in (tmp_path / "mixed", sources[0])
    )
    for key in ("action", "observation.state", CAMERA):
        assert mixed[key] == kept[key]
    assert mixed["index"]["max"] == [sum(entry[3] for entry in origins(tmp_path / "mixed")) - 1]
    with pytest.raises(ZooError, match="not merged"):
        merge_datasets(sources, tmp_path / "other", statistics_of=tmp_path)


def test_a_mixture_that_was_interrupted_continues(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [folder / name for name in LENGTHS]
    mixing = Mixing(repeat=(1, 2))
    merge_datasets(sources, tmp_path / "whole", mixing=mixing)
    stage, calls = Part.stage, []

    def interrupted(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        stage(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Part, "stage", interrupted)
    with pytest.raises(KeyboardInterrupt, match="3 of 7 episodes"):
        merge_datasets(sources, tmp_path / "mixed", mixing=mixing)
    with pytest.raises(ZooError, match="another conversion"):
        merge_datasets(sources, tmp_path / "mixed", mixing=Mixing(repeat=(1, 3)))
    merge_datasets(sources, tmp_path / "mixed", mixing=mixing)
    assert len(calls) == 4 + 4
    assert tree(tmp_path / "mixed") == tree(tmp_path / "whole")


def with_two_tasks(root: Path, starts: dict[int, int]) -> Path:
    """The sample set, in which some episodes go over to another task."""
    for path in (root / "data").rglob("*.parquet"):
        table = pq.read_table(path)
        frame, episode = table["frame_index"].to_numpy(), table["episode_index"].to_numpy()
        task = table["task_index"].to_numpy().copy()
        for number, start in starts.items():
            task[(episode == number) & (frame >= start)] = 1 - task[episode == number][0]
        place = table.schema.get_field_index("task_index")
        pq.write_table(table.set_column(place, "task_index", pa.array(task)), path)
    for path in (root / "meta/episodes").rglob("*.parquet"):
        table = pq.read_table(path)
        both = sorted({task for tasks in table["tasks"].to_pylist() for task in tasks})
        tasks = [
            both if number in starts else own
            for number, own in zip(
                table["episode_index"].to_pylist(), table["tasks"].to_pylist(), strict=True
            )
        ]
        place = table.schema.get_field_index("tasks")
        pq.write_table(table.set_column(place, "tasks", pa.array(tasks)), path)
    return root


def test_stretches_of_a_task_become_episodes_cut_at_key_frames(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    sample = checkout / "examples/sample_data/lerobot/libero_sample"
    # Of episodes 0 and 2 the rest, from an even and from an odd frame on, is the other task.
    source = with_two_tasks(shutil.copytree(sample, tmp_path / "source"), {0: 40, 2: 61})
    command = ["merge", str(source), "--output", str(tmp_path / "mixed")]
    assert main([*command, "--repeat-task", "pick up the choc*=2"]) == 0
    assert "begin up to 1 frames early" in capsys.readouterr().out
    assert main([*command[:-1], str(tmp_path / "b"), "--repeat-task", "put *=2"]) == 2
    assert "no frame has a task" in capsys.readouterr().err
    found = origins(tmp_path / "mixed")
    assert found[10:12] == [[0, 0, 40, 38], [0, 1, 0, 85]]
    assert found[12] == [0, 2, 60, 18]
    assert len(found) == 10 + 7
    mixed = LeRobotDataset("local/x", root=tmp_path / "mixed", video_backend="pyav")
    whole = LeRobotDataset("local/x", root=source, video_backend="pyav")
    said = [finding for finding in examine(tmp_path / "mixed", progress=False) if finding.name == "copies"]
    assert [finding.detail for finding in said] == ["5 of 17 episodes repeat others, as they were mixed to"]
    starts = mixed.meta.episodes["dataset_from_index"]
    for episode in (2, 10, 11, 12, 16):
        _, number, start, length = found[episode]
        for frame in (0, 1, length // 2, length - 1):
            one = mixed[starts[episode] + frame]
            other = whole[whole.meta.episodes[number]["dataset_from_index"] + start + frame]
            assert one["task"] == other["task"]
            for key in ("action", CAMERA, "observation.images.image2"):
                assert (one[key] == other[key]).all(), (episode, frame, key)


def test_waypoints_are_made_anew_and_fit_every_copy(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = shutil.copytree(folder / "demos", tmp_path / "source")
    rule = PRESETS["libero"]
    alone = training_waypoints(source, rule, "libero", 32)
    with caplog.at_level(logging.WARNING):
        merge_datasets([source], tmp_path / "mixed", mixing=Mixing(repeat=(2,)))
    assert "not carried over" in caplog.text
    assert "meta/waypoints" in caplog.text
    mixed = training_waypoints(tmp_path / "mixed", rule, "libero", 32)
    frames = np.arange(sum(LENGTHS["demos"]))
    for copy in (0, 1):
        one, other = mixed.plan(frames + copy * len(frames), 3), alone.plan(frames, 3)
        np.testing.assert_array_equal(one.state_BMS, other.state_BMS)
        np.testing.assert_array_equal(one.duration_BM, other.duration_BM)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ratios": (0.5, 0.5), "repeat": (1, 2)}, "contradict"),
        ({"ratios": (1, 0)}, "no share"),
        ({"repeat": (1, float("nan"))}, "below one"),
        ({"repeat_tasks": {"a": 0.5}}, "below one"),
    ],
)
def test_what_cannot_be_mixed_is_refused(options: dict, said: str) -> None:
    with pytest.raises(ZooError, match=said):
        Mixing(**options)


def test_numbers_that_do_not_fit_the_datasets_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="1 numbers for 2 datasets"):
        merge_datasets([folder / "demos", folder / "rft"], tmp_path / "x", mixing=Mixing(repeat=(2,)))
    assert main(["merge", str(folder / "demos"), "--repeat-task", "a", "--output", str(tmp_path / "x")]) == 2
