"""`waypoint_vla` in processes of its own: SIGKILL, two ranks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comet import HOST_GENERATOR
from training import Run, command, differences
from waypoint import WAYPOINT

SUPPORT = Path(__file__).parents[1] / "support"

pytestmark = pytest.mark.slow


def lerobot_train(*options: str) -> subprocess.Popen:
    """The command in a process of its own."""
    arguments = [sys.executable, "-m", "lerobot.scripts.lerobot_train", *options]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def root(toy_root, tmp_path) -> Path:
    return Path(shutil.copytree(toy_root, tmp_path / "toy"))


def test_seven_steps_a_kill_and_thirteen_more_are_twenty(root, tmp_path):
    # One frame a step: the run ends within its first epoch of 26 frames, see `test_data_order`.
    options = (*WAYPOINT, "--steps=20", "--save_freq=7", "--batch_size=1")
    whole, run = Run(tmp_path / "whole"), Run(tmp_path / "run")
    assert lerobot_train(*command(root, whole.output, *options)).wait() == 0

    process = lerobot_train(*command(root, run.output, *options))
    deadline = time.monotonic() + 240
    while not run.checkpoint("last").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not run.checkpoint(14).exists(), "killed in the middle"

    config = run.policy() / "train_config.json"
    assert lerobot_train(f"--config_path={config}", "--resume=true").wait() == 0
    assert differences(whole.checkpoint(20), run.checkpoint(20)) == [HOST_GENERATOR]


def test_two_ranks_share_waypoints_draw_differently_and_stay_equal(root, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(str(SUPPORT / "ddp_probe.py"), str(tmp_path)),
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
