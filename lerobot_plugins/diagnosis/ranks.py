"""Start the processes of `diagnose-ddp` as torchrun does, watch them, and end them when one hangs or dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOOK_EVERY_S = 0.05
#: How long ranks may go on after one has failed, or when their time is over: most end and say why.
_GRACE_S = 3.0
#: Importing torch takes a busy machine longer than all collectives.
STARTING_S = 180.0


@dataclass(frozen=True)
class RankReport:
    """What became of one rank.

    Args:
        rank: Its number.
        status: Its exit status; None if it hung and was ended.
        steps: What it noted, step by step.
        output: The end of what it printed.
    """

    rank: int
    status: int | None
    steps: Sequence[dict[str, Any]]
    output: str

    @property
    def done(self) -> dict[str, dict[str, Any]]:
        """The steps that it finished."""
        return {step["step"]: step for step in self.steps if step["state"] == "done"}

    @property
    def last(self) -> str | None:
        """The step that it began last; None if it never began."""
        return self.steps[-1]["step"] if self.steps else None

    @property
    def error(self) -> str | None:
        """What made it fail, if it said so."""
        return next((step["error"] for step in self.steps if step["state"] == "failed"), None)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def rank_command(report: Path, backend: str, timeout: float, megabytes: int) -> list[str]:
    """The command line of one rank; `{rank}` in the report's name is its number."""
    arguments = [str(report), backend, str(timeout), str(megabytes)]
    return [sys.executable, "-m", "lerobot_plugins.diagnosis.rank", *arguments]


def run_ranks(
    commands: Sequence[Sequence[str]],
    folder: Path,
    *,
    port: int,
    timeout: float,
    starting: float = STARTING_S,
) -> list[RankReport]:
    """Run one process for each rank until all have ended, one has failed, or none comes any further.

    Args:
        commands: The command of each rank, which notes its steps in `folder / "<rank>.jsonl"`.
        folder: For reports and output.
        port: Of the first rank, where all meet.
        timeout: Seconds in which no rank begins or ends a step.
        starting: Seconds until the first step.

    Returns:
        A report for each rank; no process is left.
    """
    with ExitStack() as stack:
        ranks = []
        for rank, command in enumerate(commands):
            output = stack.enter_context((folder / f"{rank}.txt").open("wb"))
            ranks.append(
                subprocess.Popen(  # noqa: S603  the commands are ours
                    list(command),
                    env=os.environ | environment(rank, len(commands), port),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        try:
            hung = _watch(ranks, folder, timeout, starting)
        finally:
            for process in ranks:
                _end(process)
    return [
        RankReport(rank, None if rank in hung else process.returncode, *_said(folder, rank))
        for rank, process in enumerate(ranks)
    ]


def environment(rank: int, world: int, port: int) -> dict[str, str]:
    """What torchrun sets for each process."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def _watch(
    ranks: Sequence[subprocess.Popen[bytes]], folder: Path, timeout: float, starting: float
) -> set[int]:
    """Wait; returns the ranks that have not ended by themselves."""
    noted, failed = 0, False
    deadline = time.monotonic() + starting
    while any(process.poll() is None for process in ranks):
        if not failed and any(process.returncode for process in ranks):
            failed = True
            deadline = time.monotonic() + _GRACE_S
        size = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
        if size > noted and not failed:
            noted, deadline = size, time.monotonic() + timeout + _GRACE_S
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_EVERY_S)
    return {rank for rank, process in enumerate(ranks) if process.returncode is None}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a rank with whatever it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _said(folder: Path, rank: int) -> tuple[list[dict[str, Any]], str]:
    report = folder / f"{rank}.jsonl"
    # The last line of a process that was killed may be cut off.
    lines = report.read_text().split("\n")[:-1] if report.exists() else []
    output = (folder / f"{rank}.txt").read_text(errors="replace")
    return [json.loads(line) for line in lines], "\n".join(output.strip().splitlines()[-15:])
