"""Stock `lerobot-train` in processes of its own, which can be killed."""

import subprocess
import sys
import time
from pathlib import Path

from training import Run

LEROBOT_TRAIN = [sys.executable, "-m", "lerobot.scripts.lerobot_train"]
PROBE = Path(__file__).with_name("ddp_probe.py")


def lerobot_train(*options: str) -> subprocess.Popen:
    """The command, started."""
    return subprocess.Popen([*LEROBOT_TRAIN, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def train_and_kill(run: Run, *options: str, before: int, within: float = 240) -> None:
    """SIGKILL a training as soon as its first checkpoint is written, before that of step `before` is."""
    process = lerobot_train(*options)
    deadline = time.monotonic() + within
    while not run.checkpoint("last").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert run.checkpoint("last").exists(), "no checkpoint was written"
    assert not run.checkpoint(before).exists(), "killed in the middle"


def resume_in_process(run: Run) -> None:
    """Continue a run from its last checkpoint to its end."""
    config = run.policy() / "train_config.json"
    assert lerobot_train(f"--config_path={config}", "--resume=true").wait() == 0
