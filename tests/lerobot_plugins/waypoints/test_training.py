"""The waypoints of a training run: made once, kept, checked; what is refused."""

import json
import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch.multiprocessing as mp
from torch import distributed
from waypoint_data import write_walks

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints import training
from lerobot_plugins.waypoints.dataset import make_waypoints, waypoints_path
from lerobot_plugins.waypoints.rule import PRESETS
from lerobot_plugins.waypoints.training import training_waypoints

RULE = replace(PRESETS["libero"], threshold=0.02)


@pytest.fixture
def root(tmp_path) -> Path:
    return write_walks(tmp_path / "walks")


def kept(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "meta" / "waypoints").glob("*"))


def test_they_are_made_once_and_kept(root, monkeypatch):
    first = training_waypoints(root, RULE, "libero", 32)
    assert kept(root) == ["libero.json"]
    monkeypatch.setattr(training, "make_waypoints", None)
    again = training_waypoints(root, RULE, "libero", 32)
    index = np.arange(len(first.state_FS))
    assert (first.plan(index, 3).duration_BM == again.plan(index, 3).duration_BM).all()


def test_another_rule_gets_a_name_of_its_own(root):
    training_waypoints(root, RULE, "libero", 32)
    other = replace(RULE, threshold=0.05)
    coarse = training_waypoints(root, other, "libero", 32)
    names = kept(root)
    assert len(names) == 2
    assert names[0].startswith("libero-")
    assert (
        json.loads(waypoints_path(root, names[0].removesuffix(".json")).read_text())["rule"]["threshold"]
        == 0.05
    )
    fine = training_waypoints(root, RULE, "libero", 32)
    assert kept(root) == names
    index = np.arange(len(fine.state_FS))
    assert coarse.plan(index, 1).duration_BM.mean() > fine.plan(index, 1).duration_BM.mean()


def test_named_waypoints_are_taken_whatever_made_them(root):
    make_waypoints(root, replace(RULE, threshold=0.05), "mine")
    training_waypoints(root, None, "mine", 32)
    assert kept(root) == ["mine.json"]
    with pytest.raises(ZooError, match=r"no waypoints named other(.|\n)*mine"):
        training_waypoints(root, None, "other", 32)


def test_a_dataset_that_changed_since_is_refused(root):
    training_waypoints(root, RULE, "libero", 32)
    table = waypoints_path(root, "libero")
    content = json.loads(table.read_text())
    table.write_text(json.dumps(content | {"columns_sha256": "0" * 64}))
    with pytest.raises(ZooError, match="other states or actions"):
        training_waypoints(root, RULE, "libero", 32)


def test_segments_that_are_too_long_are_refused(root):
    make_waypoints(root, replace(RULE, threshold=10.0, gripper_dims=(), max_duration=None), "long")
    with pytest.raises(ZooError, match=r"episode 0(.|\n)*19 frames(.|\n)*at most 8(.|\n)*--max-duration=8"):
        training_waypoints(root, None, "long", 8)


def test_a_folder_that_cannot_be_written_to_is_used_as_it_is(root, monkeypatch, caplog):
    monkeypatch.setattr(training.os, "access", lambda path, mode: False)
    with caplog.at_level(logging.WARNING):
        targets = training_waypoints(root, RULE, "libero", 32)
    assert kept(root) == []
    assert "cannot be written to" in caplog.text
    monkeypatch.undo()
    index = np.arange(len(targets.state_FS))
    written = training_waypoints(root, RULE, "libero", 32)
    assert (targets.plan(index, 3).duration_BM == written.plan(index, 3).duration_BM).all()


def test_a_dataset_without_its_files_is_refused(root):
    for path in (root / "data").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(ZooError, match=r"has none(.|\n)*hf download"):
        training_waypoints(root, RULE, "libero", 32)


def _rank(rank: int, root: Path, store: str, late: int, broken: bool) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    if rank == late:
        time.sleep(0.5)
    made = []
    whole = training.make_waypoints

    def watched(*arguments: object) -> object:
        made.append(rank)
        if broken:
            raise ZooError("no room")
        return whole(*arguments)

    training.make_waypoints = watched
    if broken:
        with pytest.raises(ZooError, match="no room"):
            training_waypoints(root, RULE, "libero", 32)
    else:
        assert len(training_waypoints(root, RULE, "libero", 32).state_FS) == 88
        assert made == ([0] if rank == 0 else [])
    distributed.destroy_process_group()


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("broken", [False, True])
def test_one_of_several_processes_makes_them(root, tmp_path, late, broken):
    """Whoever comes first, and also where it fails: none waits for ever."""
    arguments = (root, str(tmp_path / "store"), late, broken)
    mp.start_processes(_rank, arguments, nprocs=2, start_method="fork")
    assert kept(root) == ([] if broken else ["libero.json"])
