"""`pi05_comet` in processes of its own: SIGKILL, two ranks."""

import json
import os
import subprocess
import sys

import pytest
from comet import COMET, HOST_GENERATOR
from training import Run, command, differences
from training_processes import PROBE, lerobot_train, resume_in_process, train_and_kill

DECAY = "--policy.ema_decay=0.9"

pytestmark = pytest.mark.slow


def test_seven_steps_a_kill_and_thirteen_more_are_twenty(toy_root, tmp_path):
    """All of it in processes: the tests set torch's threads, which changes how sums are rounded."""
    options = (*COMET, DECAY, "--steps=20", "--save_freq=7")
    whole, run = Run(tmp_path / "whole"), Run(tmp_path / "run")
    assert lerobot_train(*command(toy_root, whole.output, *options)).wait() == 0

    train_and_kill(run, *command(toy_root, run.output, *options), before=14)
    resume_in_process(run)
    assert differences(whole.checkpoint(20), run.checkpoint(20)) == [HOST_GENERATOR]


def test_two_ranks_draw_differently_and_stay_equal(toy_root, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(str(PROBE), str(tmp_path)),
            *command(toy_root, tmp_path / "run", *COMET, DECAY, "--steps=3", "--batch_size=2"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert len({*first["noise"], *second["noise"]}) == 6
    assert first["losses"] != second["losses"]
    assert first["weights"] == second["weights"]
    assert len(set(first["weights"])) == 3
