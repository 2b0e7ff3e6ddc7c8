"""`lerobot-train` in processes of its own: discovery, YAML, SIGKILL, two ranks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from training import TINY, Run, command, differences, resume
from training_processes import LEROBOT_TRAIN, PROBE, train_and_kill

HOST_GENERATOR = "training_state/rng_state.safetensors:torch_rng_state"


def as_yaml(options: list[str], path: Path) -> Path:
    """The same run as a configuration file."""
    tree: dict = {}
    for option in options:
        name, value = option.removeprefix("--").split("=", 1)
        *groups, leaf = name.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[leaf] = yaml.safe_load(value)
    path.write_text(yaml.safe_dump(tree))
    return path


def succeed(*arguments: str, **environment: str) -> None:
    """Run a command; where it fails, show the end of what it said."""
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.cli
def test_a_yaml_file_gives_the_run_of_the_options(uninterrupted, toy_root, tmp_path):
    """LeRobot finds the policy type by itself, and another process computes the same bits."""
    run = Run(tmp_path / "run")
    config = as_yaml(command(toy_root, run.output, *TINY, "--steps=2"), tmp_path / "run.yaml")
    succeed(*LEROBOT_TRAIN, f"--config_path={config}")
    assert differences(uninterrupted.checkpoint(2), run.checkpoint(2)) == []


@pytest.mark.slow
def test_a_killed_run_resumes_exactly(uninterrupted, toy_root, tmp_path):
    run = Run(tmp_path / "run")
    train_and_kill(run, *command(toy_root, run.output, *TINY, "--steps=6"), before=6)
    resume(run)
    assert differences(uninterrupted.checkpoint(6), run.checkpoint(6)) == [HOST_GENERATOR]


@pytest.mark.slow
def test_two_ranks_draw_differently_and_stay_equal(toy_root, tmp_path):
    succeed(
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *(str(PROBE), str(tmp_path)),
        *command(toy_root, tmp_path / "run", *TINY, "--steps=3", "--batch_size=2"),
        OMP_NUM_THREADS="1",
        ACCELERATE_USE_CPU="true",
    )
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert len(first["noise"]) == 3
    assert len({*first["noise"], *second["noise"]}) == 6
    assert first["losses"] != second["losses"]
    assert first["weights"] == second["weights"]
    assert len(set(first["weights"])) == 3
    config = json.loads((Run(tmp_path / "run").policy() / "config.json").read_text())
    assert config["trained_steps"] == 3
