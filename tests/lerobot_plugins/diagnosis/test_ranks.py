"""Ranks that die, hang or cannot meet end with advice, and leave no process behind."""

import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lerobot_plugins.cli.main import main
from lerobot_plugins.diagnosis import processes
from lerobot_plugins.diagnosis.processes import ProcessesReport
from lerobot_plugins.diagnosis.ranks import RankReport, environment, free_port, run_ranks
from lerobot_plugins.errors import ZooError

NOTE = "import os, sys, time, json; report = open(sys.argv[1], 'w'); note = lambda *steps: [report.write(" + (
    "json.dumps({'step': s, 'state': t}) + chr(10)) for s, t in steps] and report.flush(); "
)


def ranks(folder: Path, *programs: str, timeout: float = 1.0, starting: float = 5.0) -> list[RankReport]:
    commands = [
        [sys.executable, "-S", "-c", NOTE + "\n" + program, str(folder / f"{rank}.jsonl")]
        for rank, program in enumerate(programs)
    ]
    return run_ranks(commands, folder, port=1, timeout=timeout, starting=starting)


def judged(reports: list[RankReport]) -> list[dict[str, str]]:
    return processes._failures(reports, 29500)


def test_ranks_know_who_they_are(tmp_path):
    program = "note(('-'.join(os.environ[n] for n in ('RANK', 'WORLD_SIZE', 'MASTER_PORT')), 'done'))"
    found = ranks(tmp_path, program, program)
    assert [list(rank.done) for rank in found] == [["0-2-1"], ["1-2-1"]]
    assert [rank.status for rank in found] == [0, 0]
    assert judged(found) == []
    assert environment(1, 2, 5)["LOCAL_RANK"] == "1"


def test_a_rank_that_hangs_is_ended_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr("lerobot_plugins.diagnosis.ranks._GRACE_S", 0.2)
    stuck = """
note(('init', 'done'), ('all_reduce', 'started'))
import subprocess
child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])
print(child.pid, flush=True)
time.sleep(60)
"""
    started = time.monotonic()
    found = ranks(tmp_path, stuck)
    assert time.monotonic() - started < 10
    assert found[0].status is None
    (finding,) = judged(found)
    assert finding["detail"] == "rank 0 hung in all_reduce and was ended"
    assert "TORCH_DISTRIBUTED_DEBUG" in finding["do"]
    pid = int(found[0].output)
    for _ in range(100):
        with suppress(OSError):
            os.kill(pid, 0)
            time.sleep(0.05)
            continue
        break
    else:
        state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        assert state == "Z", "nobody has collected it yet, but it has ended"


def test_the_others_do_not_wait_for_one_that_died(tmp_path, monkeypatch):
    monkeypatch.setattr("lerobot_plugins.diagnosis.ranks._GRACE_S", 0.2)
    started = time.monotonic()
    dies = "note(('init', 'started')); os.kill(os.getpid(), 9)"
    found = ranks(tmp_path, dies, "note(('init', 'started')); time.sleep(60)", timeout=60)
    assert time.monotonic() - started < 10
    (finding,) = judged(found)
    assert finding["detail"].startswith("rank 0 ended in meeting the other ranks (signal 9)")
    assert "memory" in finding["do"]


def test_a_rank_that_never_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("lerobot_plugins.diagnosis.ranks._GRACE_S", 0.1)
    (finding,) = judged(ranks(tmp_path, "sys.exit('no module named torch')"))
    assert finding["detail"] == "rank 0 ended in starting (exit status 1): no module named torch"
    assert "lerobot-plugins doctor" in finding["do"]
    (finding,) = judged(ranks(tmp_path, "time.sleep(60)", starting=0.3))
    assert finding["detail"] == "rank 0 hung in starting and was ended"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("DistNetworkError: EADDRINUSE, address already in use", "torchrun --standalone"),
        ("OutOfMemoryError: CUDA out of memory", "nvidia-smi"),
        ("DistBackendError: NCCL error: unhandled system error", "NCCL_DEBUG=INFO"),
    ],
)
def test_advice_fits_the_error(error, advice):
    steps = [
        {"step": "all_reduce", "state": "started"},
        {"step": "all_reduce", "state": "failed", "error": error},
    ]
    (finding,) = judged([RankReport(0, 1, steps, "")])
    assert error in finding["detail"]
    assert advice in finding["do"]


def test_wrong_numbers_and_slow_gpus_are_findings():
    def rank(number: int, right: bool, speed: float) -> RankReport:
        entries = {"all_reduce": {"right": right}, "bandwidth": {"gigabytes_per_second": speed}}
        return RankReport(number, 0, [{"step": k, "state": "done", **v} for k, v in entries.items()], "")

    good, bad = rank(0, True, 0.2), rank(1, False, 0.2)
    (wrong,) = processes._wrong_numbers([good, bad])
    assert wrong["detail"] == "all_reduce gave rank 1 wrong numbers"
    facts = {"environment": {"NCCL_P2P_DISABLE": "1"}}
    (slow,) = processes._slow(ProcessesReport("nccl", 2, 1, facts, [good, bad]))
    assert slow["do"] == "unset NCCL_P2P_DISABLE"
    assert processes._slow(ProcessesReport("gloo", 2, 1, facts, [good, bad])) == []


def test_wrong_use_is_refused(capsys):
    facts = {"backends": ["gloo"], "gpus": [], "torch": "2"}
    assert processes._chosen("auto", None, facts) == ("gloo", 2)
    with pytest.raises(ZooError, match="this torch has no nccl"):
        processes._chosen("nccl", None, facts)
    with pytest.raises(ZooError, match="a GPU for each rank"):
        processes._chosen("nccl", 2, facts | {"backends": ["nccl"]})
    assert processes._chosen("auto", None, facts | {"backends": ["nccl", "gloo"], "gpus": ["a", "b"]}) == (
        "nccl",
        2,
    )
    assert main(["diagnose-ddp", "--world=0"]) == 2
    assert "--world is too small" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_of_this_machine(capsys):
    assert main(["diagnose-ddp", "--backend=gloo", "--megabytes=4", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == []
    for rank in report["ranks"]:
        steps = {step["step"]: step for step in rank["steps"]}
        assert list(steps) == [
            "init",
            "all_reduce",
            "broadcast",
            "all_gather",
            "barrier",
            "gradients",
            "bandwidth",
        ]
        assert all(steps[name]["right"] for name in ("all_reduce", "broadcast", "all_gather", "gradients"))
        assert steps["gradients"]["between_ranks"] == 0


@pytest.mark.slow
def test_a_port_that_is_taken(capsys):
    with socket.create_server(("0.0.0.0", free_port())) as listener:
        port = listener.getsockname()[1]
        assert main(["diagnose-ddp", "--backend=gloo", f"--port={port}", "--timeout=5"]) == 1
    assert f"another process listens on port {port}" in capsys.readouterr().out
