"""The command as a user calls it: the sample, real rows, dry runs, interruptions, a training step."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rlds_samples import SHARED_RLDS, run_and_kill, tree
from vla_rows import SHARED_ROWS, recording, source, write

from lerobot_plugins.cli.main import main
from lerobot_plugins.conversion.writer import write_dataset

LENGTHS = (5, 9, 3, 12, 7, 4)


def convert(inputs: Path, root: Path, *options: str) -> int:
    fixed = ["--fps", "20", "--repo-id", "local/x", "--workers", "1", "--root", str(root)]
    return main(["convert", "vla-parquet", str(inputs), *fixed, *options])


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.parquet", recording(LENGTHS), group=7)
    for workers in (1, 2):
        write_dataset(source(rows), tmp_path / f"by {workers}", workers=workers)
    assert tree(tmp_path / "by 1") == tree(tmp_path / "by 2")


def test_a_killed_conversion_continues(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.parquet", recording(LENGTHS), group=7)
    write_dataset(source(rows), tmp_path / "expected", images="jpeg")
    found = source(rows)
    for seconds in (0.02, 0.06, 0.15, 0.3):
        if run_and_kill(lambda: write_dataset(found, tmp_path / "killed", images="jpeg"), seconds):
            break
    if not (tmp_path / "killed").exists():
        write_dataset(source(rows), tmp_path / "killed", images="jpeg")
    assert tree(tmp_path / "killed") == tree(tmp_path / "expected")


def test_a_dry_run_describes_the_recording_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rows = recording(LENGTHS)
    for row in rows:
        row["action"][1] = 0.5
    rows[6]["image_1"] = rows[6]["image_1"][:200]
    rows[7]["image_1"] = b""
    rows[20]["state"] = None
    write(tmp_path / "rows.parquet", rows)
    before = tree(tmp_path)
    assert convert(tmp_path / "rows.parquet", tmp_path / "out", "--dry-run") == 1
    text = capsys.readouterr().out
    for line in (
        "episodes    4, of 3 to 7 frames",
        "    action_1         CONSTANT 0.5",
        "observation.images.image_1  32x32 pixels",
        "    3 episodes: task 0",
    ):
        assert line in text.splitlines()
    assert "  damaged:  observation.images.image_1, frames 1, 2" in text.splitlines()
    assert "    episode 2: 3 frames, rows.parquet, rows 14 to 16" in text.splitlines()
    assert "would skip episode 1 (rows.parquet, rows 5 to 13): observation.images.image_1, frame 1" in text
    assert convert(tmp_path / "rows.parquet", tmp_path / "out", "--dry-run", "--json") == 1
    table = json.loads(capsys.readouterr().out)
    assert [(row["location"], row["frames"], row["tasks"]) for row in table["episodes"]] == [
        ("rows.parquet, rows 0 to 4", 5, ["task 0"]),
        ("rows.parquet, rows 14 to 16", 3, ["task 0"]),
        ("rows.parquet, rows 29 to 35", 7, ["task 0"]),
        ("rows.parquet, rows 36 to 39", 4, ["task 1"]),
    ]
    assert table["features"]["action"]["constant_dims"] == [1]
    assert table["features"]["observation.state"]["shape"] == [4]
    assert sum(row["episodes"] for row in table["lengths"]) == 4
    assert [entry["episode"] for entry in table["left_out"]] == [1, 3]
    assert table["left_out"][0]["damaged_pictures"] == {"observation.images.image_1": [1, 2]}
    assert "row 20, column 'state'" in table["left_out"][1]["reason"]
    assert tree(tmp_path) == before


def test_a_step_is_dumped_as_inference_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from lerobot_plugins.inference.sample import read_folder

    rows = recording(LENGTHS)
    rows[0]["state"] = None
    write(tmp_path / "rows.parquet", rows)
    dump = ("--dump", str(tmp_path / "step"), "--on-error", "skip")
    assert convert(tmp_path / "rows.parquet", tmp_path / "out", *dump) == 0
    assert "the first step of rows.parquet, rows 5 to 13" in capsys.readouterr().out
    sample = read_folder(tmp_path / "step")
    assert (sample.prompt, set(sample.pictures)) == ("task 1", {"image_1", "image_2"})
    assert sample.pictures["image_1"][0].read_bytes() == rows[5]["image_1"]
    np.testing.assert_array_equal(np.float32(sample.state), np.float32(rows[5]["state"]))
    np.testing.assert_array_equal(np.float32(sample.action), np.float32(rows[5]["action"]))
    assert not (tmp_path / "out").exists()
    assert convert(tmp_path / "rows.parquet", tmp_path / "out", *dump) == 2


def test_the_sample_is_converted_and_trained_on(checkout: Path, tmp_path: Path) -> None:
    from training import TINY, train
    from write_parquet_rows import write_rows

    files = write_rows(tmp_path / "rows")
    assert convert(tmp_path / "rows", tmp_path / "out", "--images", "jpeg", "--robot-type", "franka") == 0
    dataset = LeRobotDataset("local/x", root=tmp_path / "out")
    stock = LeRobotDataset(
        "local/libero_sample",
        root=checkout / "examples/sample_data/lerobot/libero_sample",
        video_backend="pyav",
    )
    assert (len(files), dataset.num_episodes, dataset.num_frames) == (2, 10, stock.num_frames)
    for index in (0, 400, 822):
        mine, theirs = dataset[index], stock[index]
        for key in ("action", "observation.state", "task", "episode_index", "timestamp"):
            assert mine[key] == theirs[key] if key == "task" else (mine[key] == theirs[key]).all()
        difference = mine["observation.images.image_1"] - theirs["observation.images.image"]
        assert difference.abs().mean() < 0.04
    run = train(
        tmp_path / "out",
        tmp_path / "run",
        *TINY,
        "--steps=1",
        "--save_checkpoint=false",
        "--batch_size=2",
        "--dataset.episodes=[0,1]",
    )
    assert np.isfinite(run.losses).all()
    assert len(run.losses) == 1


@pytest.mark.skipif(not SHARED_ROWS.exists(), reason=f"{SHARED_ROWS} is not here")
def test_real_rows_are_converted_exactly(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert convert(SHARED_ROWS, tmp_path / "out", "--images", "jpeg") == 0
    original = pq.read_table(SHARED_ROWS)
    made = pq.read_table(tmp_path / "out/data")
    assert made["action"].to_pylist() == original["action"].to_pylist()
    assert made["observation.state"].to_pylist() == original["state"].to_pylist()
    for camera in ("image_1", "image_2"):
        kept = [entry["bytes"] for entry in made[f"observation.images.{camera}"].to_pylist()]
        assert kept == original[camera].to_pylist()
    # The same simulated episode as RLDS, whose values TensorFlow read.
    with np.load(SHARED_RLDS / "libero_scripted/libero_scripted_golden.npz") as golden:
        np.testing.assert_array_equal(made["action"].to_pylist(), golden["train/0/action"])
        hashes = [hashlib.sha256(encoded).hexdigest() for encoded in original["image_1"].to_pylist()]
        assert hashes == golden["train/0/observation/image#jpeg_sha256"].tolist()
    assert convert(SHARED_ROWS, tmp_path / "dry", "--dry-run", "--json") == 0
    table = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert table["features"]["action"]["constant_dims"] == [3, 4, 5]
