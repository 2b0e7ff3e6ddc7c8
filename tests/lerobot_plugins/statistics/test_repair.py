"""`meta/stats.json` made exact in place: what changes, and what stays."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from number_faults import lite_arms
from recorded_dataset import write_recording
from toy_data import write_toy_dataset

from lerobot_plugins.cli.main import main
from lerobot_plugins.doctor.dataset.examination import examine
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.exact import quantile_names
from lerobot_plugins.statistics.recorded import dataset_statistics
from lerobot_plugins.statistics.recorded_images import camera_statistics
from lerobot_plugins.statistics.repair import repair, stored_quantiles

STATS = Path("meta/stats.json")
CAMERA = "observation.images.image"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A dataset that LeRobot itself recorded."""
    root = tmp_path_factory.mktemp("recorded") / "set"
    write_toy_dataset(root, lengths=(60, 25, 40), size=32)
    return root


@pytest.fixture
def root(recorded, tmp_path) -> Path:
    return shutil.copytree(recorded, tmp_path / "set")


def mend(root: Path, **options):
    change = repair(root, dataset_statistics(root, progress=False, **options))
    change.write()
    return change


def told(root: Path) -> list:
    findings = [finding for finding in examine(root, progress=False) if finding.name == "statistics"]
    return [(finding.state, finding.do) for finding in findings]


def test_the_doctor_names_the_repair_and_is_silent_after_it(root):
    ((state, do),) = told(root)
    assert state == "warning"
    assert f"lerobot-plugins stats --root={root} --in-place" in do
    change = mend(root)
    assert change.changed
    assert told(root) == [("ok", None)]


def test_pictures_and_episodes_keep_theirs(root):
    before = json.loads((root / STATS).read_text())
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    change = mend(root)
    after = json.loads((root / STATS).read_text())
    assert after[CAMERA] == before[CAMERA]
    assert set(change.kept) == {CAMERA, "observation.images.image2"}
    changed = {path for path in root.rglob("*") if path.is_file() and path.read_bytes() != files.get(path)}
    assert changed == {root / STATS}
    assert list(after) == list(before)


def test_lerobot_reads_what_was_written(root):
    mend(root)
    dataset = LeRobotDataset("local/toy", root=root)
    states = np.stack(
        [np.asarray(row["observation.state"], float) for row in dataset.hf_dataset.with_format(None)]
    )
    np.testing.assert_array_equal(
        dataset.meta.stats["observation.state"]["q99"], np.quantile(states, 0.99, axis=0)
    )


def test_the_text_says_what_changed(root):
    lines = mend(root).text()
    assert lines[0] == f"wrote {root / STATS}"
    assert lines[1].startswith("changed ")
    assert "observation.state" in lines[1] or "action" in lines[1]
    assert lines[-1].endswith("meta/episodes")
    again = mend(root)
    assert not again.changed
    assert again.text() == [f"{root / STATS} has exactly these statistics already"]


def test_all_stored_quantiles_are_made_exact(root):
    content = json.loads((root / STATS).read_text())
    content["action"]["q05"] = content["action"]["q10"]
    content["action"]["spread"] = 3
    (root / STATS).write_text(json.dumps(content))
    assert stored_quantiles(root) == {1, 5, 10, 50, 90, 99}
    mend(root, quantiles=quantile_names([1, *stored_quantiles(root)]))
    after = json.loads((root / STATS).read_text())["action"]
    assert after["q01"][0] < after["q05"][0] < after["q10"][0]
    assert after["spread"] == 3


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_a_missing_file_is_written_anew(root, damage):
    if damage == "missing":
        (root / STATS).unlink()
        assert stored_quantiles(root) == set()
    else:
        (root / STATS).write_text((root / STATS).read_text()[:100])
    lines = mend(root).text()
    assert lines[1] == "it was missing or no JSON"
    assert not {state for state, _ in told(root)} - {"ok"}


def test_statistics_of_another_width_are_replaced(root):
    content = json.loads((root / STATS).read_text())
    content["action"] = {name: value[:3] for name, value in content["action"].items()}
    (root / STATS).write_text(json.dumps(content))
    assert told(root)[0][0] == "problem"
    mend(root)
    assert told(root) == [("ok", None)]


def test_an_interruption_leaves_the_old_file(root, monkeypatch):
    before = (root / STATS).read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        mend(root)
    assert (root / STATS).read_bytes() == before
    monkeypatch.undo()
    mend(root)
    assert told(root) == [("ok", None)]


def test_cameras_on_request(root):
    content = json.loads((root / STATS).read_text())
    right = content[CAMERA]
    for name in ("min", "max", "mean", "std"):
        content[CAMERA] = content[CAMERA] | {name: (255 * np.array(right[name])).tolist()}
    (root / STATS).write_text(json.dumps(content))
    ((_, do),) = [entry for entry in told(root) if entry[0] == "problem"]
    assert do.endswith(f"lerobot-plugins stats --root={root} --in-place --cameras")
    assert main(["stats", f"--root={root}", "--in-place", "--cameras"]) == 0
    assert told(root) == [("ok", None)]
    after = json.loads((root / STATS).read_text())[CAMERA]
    # Noise, of which LeRobot looks at other frames.
    np.testing.assert_allclose(after["mean"], right["mean"], atol=0.01)
    assert np.shape(after["mean"]) == (3, 1, 1)
    assert after["count"] == [8 + 4 + 5 - 1]


def test_cameras_in_videos(tmp_path):
    root = write_recording(lite_arms(short=True), tmp_path / "set", images="video")
    converted = json.loads((root / STATS).read_text())["observation.images.top"]
    found = camera_statistics(root, progress=False).stats["observation.images.top"]
    # The converter saw the pixels before they were encoded.
    np.testing.assert_allclose(found["mean"], converted["mean"], atol=0.01)
    np.testing.assert_allclose(found["q50"], converted["q50"], atol=0.02)
    next((root / "videos").rglob("*.mp4")).unlink()
    with pytest.raises(ZooError, match=r"the pictures of observation.images.top are not there"):
        camera_statistics(root, progress=False)


@pytest.mark.slow
def test_a_recording_of_lerobot_record(tmp_path):
    pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
    from simulated_recordings import record

    root = record(tmp_path / "set", "--dataset.episode_time_s=6", "--dataset.fps=30", "--teleop.period_s=4")
    assert told(root)[0][0] == "warning"
    mend(root)
    assert told(root) == [("ok", None)]
