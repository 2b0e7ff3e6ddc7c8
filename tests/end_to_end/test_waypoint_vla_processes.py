"""`waypoint_vla` in processes of its own: SIGKILL, two ranks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from comet import HOST_GENERATOR
from training import Run, command, differences
from training_processes import PROBE, lerobot_train, resume_in_process, train_and_kill
from waypoint import WAYPOINT

pytestmark = pytest.mark.slow


@pytest.fixture
def root(toy_root, tmp_path) -> Path:
    return Path(shutil.copytree(toy_root, tmp_path / "toy"))


def test_seven_steps_a_kill_and_thirteen_more_are_twenty(root, tmp_path):
    # One frame a step: the run ends within its first epoch of 26 frames, see `test_data_order`.
    options = (*WAYPOINT, "--steps=20", "--save_freq=7", "--batch_size=1")
    whole, run = Run(tmp_path / "whole"), Run(tmp_path / "run")
    assert lerobot_train(*command(root, whole.output, *options)).wait() == 0

    train_and_kill(run, *command(root, run.output, *options), before=14)
    resume_in_process(run)
    assert differences(whole.checkpoint(20), run.checkpoint(20)) == [HOST_GENERATOR]


def test_two_ranks_share_waypoints_draw_differently_and_stay_equal(root, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(str(PROBE), str(tmp_path)),
            *command(root, tmp_path / "run", *WAYPOINT, "--steps=3", "--batch_size=2"),
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
    assert [path.name for path in (root / "meta/waypoints").iterdir()] == ["libero.json"]
