"""Logs of LeRobot, openpi and Weights & Biases become the same series."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lerobot.utils.logging_utils import AverageMeter, MetricsTracker

from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.analysis import read_run
from lerobot_plugins.runs.text_logs import read_text_log

OPENPI = (
    "Step 0: grad_norm=1.5705, loss=0.1146, param_norm=1803.1594\nStep 5: grad_norm=1.3822, loss=0.0900\n"
)
COMET = "12:00 [I] step=100 epoch=0 epoch_step=100/900 loss=0.25 lr=1.0e-05 grad_norm=0.5 time=1.2s\n"


def lerobot_log(steps: list[int], losses: list[float]) -> str:
    """As LeRobot's own tracker prints it, behind a progress bar."""
    lines = []
    for step, loss in zip(steps, losses, strict=True):
        meters = {
            "loss": AverageMeter("loss", ":.3f"),
            "grad_norm": AverageMeter("grdn", ":.3f"),
            "lr": AverageMeter("lr", ":0.1e"),
        }
        tracker = MetricsTracker(8, 1000, 10, meters, initial_step=step)
        tracker.loss, tracker.grad_norm, tracker.lr = loss, 0.5, 1e-5
        lines.append(
            f"Training:  5%|█ | 1/20\rTraining: 9%INFO 2026-11-26 12:00:00 ot_train.py:641 {tracker}"
        )
    return "\n".join(lines) + "\n"


def test_lerobots_own_lines_are_read_with_exact_steps(tmp_path):
    steps = list(range(200, 25_001, 200))
    losses = [5.0 / step for step in steps]
    path = tmp_path / "run.log"
    path.write_text(lerobot_log(steps, losses))
    history = read_text_log(path)
    assert history.kind == "lerobot"
    assert history.step_N.tolist() == steps  # 1K, 1K, 1K, 1K, 2K ... in the log
    assert np.allclose(history.series["loss"], losses, atol=5e-4)
    assert set(history.series) >= {"loss", "grad_norm", "lr"}


def test_a_resumed_run_replaces_what_was_lost(tmp_path):
    path = tmp_path / "run.log"
    path.write_text(lerobot_log([10, 20, 30, 40], [4, 3, 2, 1]) + lerobot_log([30, 40, 50], [2.5, 1.5, 0.5]))
    history = read_text_log(path)
    assert history.step_N.tolist() == [10, 20, 30, 40, 50]
    assert history.series["loss"].tolist() == [4, 3, 2.5, 1.5, 0.5]


def test_openpis_lines(tmp_path):
    path = tmp_path / "openpi.log"
    path.write_text(OPENPI)
    history = read_text_log(path)
    assert (history.kind, history.step_N.tolist()) == ("openpi", [0, 5])
    assert history.series["loss"].tolist() == [0.1146, 0.09]
    assert history.points("param_norm")[0].tolist() == [0]
    path.write_text(COMET)
    torch_log = read_text_log(path)
    assert (torch_log.series["lr"][0], torch_log.series["grad_norm"][0]) == (1e-5, 0.5)


def test_what_is_not_finite_stays_so(tmp_path):
    path = tmp_path / "openpi.log"
    path.write_text(OPENPI + "Step 10: grad_norm=nan, loss=inf\n")
    history = read_text_log(path)
    assert math.isnan(history.series["grad_norm"][2])
    assert math.isinf(history.series["loss"][2])
    assert history.logged["grad_norm"].all()


OFFLINE = """
import wandb
run = wandb.init(project="x", mode="offline", dir=".")
for step in range(1, 6):
    loss = 1.0 / step if step < 5 else float("nan")
    wandb.log({"train/loss": loss, "train/lr": 1e-4, "note": "text"}, step=step * 10)
run.finish()
"""


@pytest.mark.slow
def test_offline_runs_of_wandb(tmp_path):
    environment = os.environ | {"WANDB_SILENT": "true", "WANDB_MODE": "offline", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", OFFLINE], cwd=tmp_path, env=environment, check=True)
    history = read_run(tmp_path)
    assert (history.kind, history.step_N.tolist()) == ("wandb", [10, 20, 30, 40, 50])
    assert history.series["loss"][:4].tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert math.isnan(history.series["loss"][4])
    damaged = next(path for path in tmp_path.glob("wandb/offline-*/*.wandb"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    with pytest.raises(ZooError, match="is damaged"):
        read_run(damaged)


def test_a_folder_or_file_without_a_log_is_refused(tmp_path):
    with pytest.raises(ZooError, match=r"no \.log file and no offline wandb run"):
        read_run(tmp_path)
    with pytest.raises(ZooError, match="there is no run"):
        read_run(tmp_path / "absent")
    Path(tmp_path / "x.log").write_text("nothing here\n")
    with pytest.raises(ZooError, match="holds no logged step"):
        read_run(tmp_path)
