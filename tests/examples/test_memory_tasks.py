"""The tasks need what they say, and the script that compares policies on them runs and goes on."""

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import run as memory_tasks
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from make_tasks import CAMERA, CUE_FRAMES, DECISION, DEPTH, FRAMES, card_frames, depth_frames, make


def actions(frames: list) -> np.ndarray:
    return np.stack([frame["action"] for frame in frames])


def test_the_sides_of_the_cue_are_told_apart_in_its_first_frames_alone():
    left, right = (card_frames(side, CUE_FRAMES, np.random.default_rng(0)) for side in (-1.0, 1.0))
    same = [np.array_equal(one[CAMERA], other[CAMERA]) for one, other in zip(left, right, strict=True)]
    assert same == [False] * CUE_FRAMES + [True] * (FRAMES - CUE_FRAMES)
    states = [np.stack([frame["observation.state"] for frame in frames]) for frames in (left, right)]
    assert np.array_equal(*states)
    apart = actions(left)[:, 0] != actions(right)[:, 0]
    assert apart.tolist() == [False] * DECISION + [True] * (FRAMES - DECISION)


def test_near_and_far_look_alike_without_depth():
    near, far = (depth_frames(side, np.random.default_rng(0))[0] for side in (1.0, -1.0))
    assert np.array_equal(near[CAMERA], far[CAMERA])
    assert near[DEPTH].min() < far[DEPTH].min()
    assert (near["action"][0], far["action"][0]) == (1, -1)


def test_they_are_datasets(tmp_path):
    make("depth", tmp_path / "depth", episodes=2)
    item = LeRobotDataset("local/depth", root=tmp_path / "depth", video_backend="pyav")[FRAMES]
    assert item[CAMERA].shape == (3, 64, 64)
    assert sorted(np.unique(item[DEPTH].numpy().round(-1)).tolist()) == [500, 2500]


@pytest.mark.slow
def test_the_comparison_runs_and_repeats_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory_tasks, "TRAINED", 4)
    for name in ("card", "cue"):
        make(name, tmp_path / "data" / name, episodes=6)
    given = [f"--data={tmp_path / 'data'}", f"--out={tmp_path}", "--steps=2", "--base-steps=2", "--seeds=0"]
    with mock.patch.object(sys, "argv", ["run.py", *given, "--tasks=cue", "--policies=pi05_comet_vlm2"]):
        memory_tasks.main()
        result = tmp_path / "cue/pi05_comet_vlm2/seed0/result.json"
        first = result.stat().st_mtime_ns
        memory_tasks.main()
    assert result.stat().st_mtime_ns == first
    assert "| cue | pi05_comet_vlm2 |" in capsys.readouterr().out
    assert Path(tmp_path / "memory_tasks.json").exists()
