"""Data and a training through a Hub on loopback, as on two machines that share nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from evaluating import lerobot_eval_here
from hub_server import empty_cache
from huggingface_hub import constants
from lerobot.datasets import dataset_metadata, lerobot_dataset
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from training import TINY, command

from lerobot_plugins.cli.main import main

SAMPLE = Path(__file__).parents[2] / "examples/sample_data/lerobot/libero_sample"


def on_another_machine(monkeypatch, folder: Path) -> None:
    """Neither the datasets nor the models of this one are there."""
    empty_cache(monkeypatch, folder / "models")
    monkeypatch.setattr(dataset_metadata, "HF_LEROBOT_HOME", folder / "lerobot")
    for module in (dataset_metadata, lerobot_dataset):
        monkeypatch.setattr(module, "HF_LEROBOT_HUB_CACHE", folder / "datasets")


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_dataset_comes_back_the_same(hub, tmp_path, monkeypatch):
    """The sample's videos, numbers and statistics, and the table of waypoints beside them."""
    root = tmp_path / "data"
    root.mkdir()
    for name, content in contents(SAMPLE).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    assert main(["waypoints", f"--root={root}", "--robot=libero"]) == 0
    before = LeRobotDataset("user/data", root=root, video_backend="pyav")
    before.push_to_hub()
    on_another_machine(monkeypatch, tmp_path / "another-machine")

    after = LeRobotDataset("user/data", video_backend="pyav")
    assert after.root != root
    assert after.revision == "v3.0"
    stored = contents(after.root)
    assert any("waypoint" in name for name in stored)
    assert {name: stored.get(name) for name in contents(root)} == contents(root)
    assert len(after) == len(before) > 0
    for index in (0, len(before) - 1):
        ours, theirs = before[index], after[index]
        assert ours.keys() == theirs.keys()
        assert all(
            torch.equal(value, theirs[key]) if isinstance(value, torch.Tensor) else value == theirs[key]
            for key, value in ours.items()
        )


def lerobot_train(hub, home: Path, *options: str) -> None:
    """The command in a process of its own, with nothing cached."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lerobot-train"), *options],
        env=os.environ | hub.environment(home),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.cli
def test_trainings_push_what_lerobot_eval_loads(hub, toy_root, tmp_path, monkeypatch):
    """Data from the Hub, a policy to the Hub, an adapter on that policy to the Hub, and both replayed."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    LeRobotDataset("user/data", root=toy_root).push_to_hub()
    pushed = ("--dataset.repo_id=user/data", "--policy.push_to_hub=true", "--steps=2", "--policy.device=cpu")
    for name, options in {
        "policy": TINY,
        "adapter": ("--policy.path=user/policy", "--peft.method_type=LORA", "--peft.r=2"),
    }.items():
        home = tmp_path / name
        given = command(toy_root, home / "out", *options, *pushed, f"--policy.repo_id=user/{name}")
        lerobot_train(hub, home, *(option for option in given if not option.startswith("--dataset.root")))
    on_another_machine(monkeypatch, tmp_path / "another-machine")

    assert "model.safetensors" not in hub.model("user/adapter").files
    errors = {}
    for name in ("policy", "adapter"):
        metrics = lerobot_eval_here(f"user/{name}", toy_root, tmp_path / f"eval-{name}")
        assert metrics["complete"]
        errors[name] = metrics["executed"]["raw"]["mae"]
        local = tmp_path / name / "out/checkpoints/last/pretrained_model"
        with_own_files = lerobot_eval_here(local, toy_root, tmp_path / f"eval-{name}-here")
        assert with_own_files["executed"]["raw"]["mae"] == errors[name]
    assert errors["policy"] != errors["adapter"]
