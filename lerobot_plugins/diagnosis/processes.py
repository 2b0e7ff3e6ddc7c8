"""Whether several processes of this machine can train together, and what to do if not."""

import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lerobot_plugins.diagnosis.ranks import RankReport, free_port, rank_command, run_ranks
from lerobot_plugins.errors import ZooError

#: What changes how processes talk to each other.
_VARIABLES = re.compile(
    r"(NCCL|GLOO|TORCH_NCCL|TORCH_DISTRIBUTED|MASTER|CUDA_VISIBLE|UCX|FI)_.*|OMP_NUM_THREADS"
)
_WORDS = {
    "init": "meeting the other ranks",
    "gradients": "a step of DistributedDataParallel",
    "bandwidth": "the measurement of the bandwidth",
}
_SLOW_GPU = 1.0


@dataclass
class ProcessesReport:
    """What was tried and found.

    Args:
        backend: `gloo` or `nccl`.
        world: Number of ranks.
        port: Where they met.
        facts: Versions, devices, environment variables.
        ranks: What became of each rank.
        findings: What is wrong, each with what to do.
    """

    backend: str
    world: int
    port: int
    facts: dict[str, Any]
    ranks: list[RankReport]
    findings: list[dict[str, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        ranks = [
            {"rank": r.rank, "status": r.status, "steps": list(r.done.values()), "error": r.error}
            for r in self.ranks
        ]
        return {
            "backend": self.backend,
            "world": self.world,
            "port": self.port,
            "facts": self.facts,
            "ranks": ranks,
            "findings": self.findings,
        }


def diagnose_processes(
    backend: str = "auto",
    world: int | None = None,
    *,
    port: int | None = None,
    timeout: float = 60.0,
    megabytes: int = 64,
) -> ProcessesReport:
    """Start the ranks and judge what they did.

    Args:
        backend: `gloo`, `nccl`, or `auto`: NCCL where there are at least two GPUs, or as many as ranks.
        world: Number of ranks; by default the GPUs with NCCL, else 2.
        port: Where they meet; by default one that is free.
        timeout: Seconds without a step until the ranks count as hanging.
        megabytes: Size of what the bandwidth is measured with.

    Raises:
        ZooError: There is no such backend here, or there are fewer GPUs than ranks.
    """
    facts = machine_facts()
    backend, world = _chosen(backend, world, facts)
    port = port or free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = [
            rank_command(folder / f"{rank}.jsonl", backend, timeout, megabytes) for rank in range(world)
        ]
        ranks = run_ranks(commands, folder, port=port, timeout=timeout)
    report = ProcessesReport(backend, world, port, facts, ranks)
    report.findings = [*_failures(ranks, port), *_wrong_numbers(ranks), *_slow(report)]
    return report


def machine_facts() -> dict[str, Any]:
    """Versions, GPUs, which of them reach each other's memory, environment variables."""
    import torch
    import torch.distributed as dist

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    variables = {name: value for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name)}
    peers = [
        [i == j or torch.cuda.can_device_access_peer(i, j) for j in range(len(gpus))]
        for i in range(len(gpus))
    ]
    return {
        "torch": torch.__version__,
        "backends": [name for name in ("nccl", "gloo") if getattr(dist, f"is_{name}_available")()],
        "nccl": ".".join(map(str, torch.cuda.nccl.version())) if gpus else None,
        "gpus": gpus,
        "peer_access": peers,
        "cpus": os.cpu_count(),
        "environment": variables,
    }


def _chosen(backend: str, world: int | None, facts: dict[str, Any]) -> tuple[str, int]:
    gpus = len(facts["gpus"])
    if backend == "auto":
        wanted = world or 2
        backend = "nccl" if "nccl" in facts["backends"] and gpus >= wanted else "gloo"
    if backend not in facts["backends"]:
        raise ZooError(
            f"this torch has no {backend}",
            got=f"torch {facts['torch']} with {', '.join(facts['backends']) or 'no backend'}",
            expected="nccl for GPUs, gloo for CPUs",
            do="pass --backend=gloo, or install a torch that is built for CUDA",
        )
    world = world or (gpus if backend == "nccl" else 2)
    if backend == "nccl" and not 1 <= world <= gpus:
        raise ZooError(
            "NCCL needs a GPU for each rank",
            got=f"{world} ranks, {gpus} GPUs",
            do="pass a smaller --world, or --backend=gloo",
        )
    return backend, world


def _failures(ranks: list[RankReport], port: int) -> list[dict[str, str]]:
    """Ranks that died, hung, or could not meet: the first cause, not what followed from it."""
    died = [rank for rank in ranks if rank.status not in (0, None)]
    hung = [rank for rank in ranks if rank.status is None]
    findings = [_finding(_death(rank), _advice(rank, port)) for rank in died[:1]]
    if hung and not died:
        first = min(hung, key=lambda rank: len(rank.done))
        names = ", ".join(str(rank.rank) for rank in hung)
        where = _words(first.last)
        findings.append(_finding(f"rank {names} hung in {where} and was ended", _advice(first, port)))
    return findings


def _death(rank: RankReport) -> str:
    if rank.error:
        return f"rank {rank.rank} failed in {_words(rank.last)}: {rank.error}"
    how = f"signal {-rank.status}" if rank.status and rank.status < 0 else f"exit status {rank.status}"
    last = rank.output.splitlines()[-1] if rank.output else "it printed nothing"
    return f"rank {rank.rank} ended in {_words(rank.last)} ({how}): {last}"


def _advice(rank: RankReport, port: int) -> str:
    """What to do about a rank that failed or hung, by where and how."""
    said = f"{rank.error or ''} {rank.output}".lower()
    if "address already in use" in said or "eaddrinuse" in said:
        return (
            f"another process listens on port {port}: leave --port out, and start trainings with torchrun "
            "--standalone, which finds a free one"
        )
    if "out of memory" in said:
        return "free the GPU's memory (nvidia-smi shows who holds it), or pass a smaller --megabytes"
    if rank.status == -9:
        return "the system killed it, mostly for memory (see dmesg): pass a smaller --world or --megabytes"
    if rank.last is None:
        return "the process did not come as far as torch: run `lerobot-plugins doctor`"
    if rank.last == "init":
        return (
            "the ranks could not meet: let the loopback interface through the firewall, unset MASTER_ADDR "
            "and MASTER_PORT, and set GLOO_SOCKET_IFNAME=lo or NCCL_SOCKET_IFNAME to an interface that is up"
        )
    if "nccl" in said or "cuda" in said or rank.done.get("init", {}).get("device", "").startswith("cuda"):
        return (
            "run again with NCCL_DEBUG=INFO; if the GPUs cannot reach each other, NCCL_P2P_DISABLE=1 and "
            "then NCCL_SHM_DISABLE=1 show which way is broken (they cost speed where all is well)"
        )
    return "run again with TORCH_DISTRIBUTED_DEBUG=DETAIL, and with --world=1 to leave the network out"


def _wrong_numbers(ranks: list[RankReport]) -> list[dict[str, str]]:
    findings = []
    for rank in ranks:
        for step, entry in rank.done.items():
            if entry.get("right") is False:
                measured = {k: v for k, v in entry.items() if k in ("between_ranks", "to_one_process")}
                text = f"{_words(step)} gave rank {rank.rank} wrong numbers {measured or ''}".rstrip()
                do = (
                    "do not train on this machine as it is: with NCCL try NCCL_P2P_DISABLE=1 (a virtualised "
                    "PCIe bus corrupts peer transfers when ACS is on), and another driver or torch"
                )
                findings.append(_finding(text, do))
    return findings


def _slow(report: ProcessesReport) -> list[dict[str, str]]:
    """A GPU's all-reduce that is slower than a disk."""
    speeds = [r.done["bandwidth"]["gigabytes_per_second"] for r in report.ranks if "bandwidth" in r.done]
    if report.backend != "nccl" or report.world < 2 or not speeds or min(speeds) >= _SLOW_GPU:
        return []
    disabled = [name for name in report.facts["environment"] if name.endswith("_DISABLE")]
    do = (
        f"unset {', '.join(disabled)}"
        if disabled
        else "look at `nvidia-smi topo -m`: which way do they talk?"
    )
    return [_finding(f"an all-reduce moves {min(speeds):.2f} GB/s between the GPUs", do)]


def _words(step: str | None) -> str:
    return "starting" if step is None else _WORDS.get(step, step)


def _finding(detail: str, do: str) -> dict[str, str]:
    return {"detail": detail, "do": do}
