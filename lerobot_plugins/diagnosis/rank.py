"""One process of `diagnose-ddp`: `python -m lerobot_plugins.diagnosis.rank REPORT`.

Rank, world size, master address and port come from the environment, as torchrun sets them. Every step that
succeeds is a line of JSON in the report, so that a process that hangs or dies says how far it came.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

#: What a rank does, in order.
STEPS = ("init", "all_reduce", "broadcast", "all_gather", "barrier", "gradients", "bandwidth")
_REPEATS = 5
_TOLERANCE = 1e-5


class Rank:
    """The steps of one rank.

    Args:
        backend: `gloo` or `nccl`.
        timeout: Seconds until a collective gives up.
        megabytes: Size of what the bandwidth is measured with.
    """

    def __init__(self, backend: str, timeout: float, megabytes: int) -> None:
        self.rank, self.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.backend, self.timeout, self.megabytes = backend, timeout, megabytes
        local = int(os.environ["LOCAL_RANK"])
        self.device = torch.device("cuda", local) if backend == "nccl" else torch.device("cpu")
        if backend == "nccl":
            torch.cuda.set_device(self.device)

    def init(self) -> dict[str, Any]:
        """Meet the others."""
        dist.init_process_group(self.backend, timeout=timedelta(seconds=self.timeout))
        return {"device": str(self.device)}

    def all_reduce(self) -> dict[str, Any]:
        """The sum of all ranks' numbers is n (n - 1) / 2."""
        value = torch.full((1000,), float(self.rank), device=self.device)
        dist.all_reduce(value)
        return _equal(value, torch.full_like(value, self.world * (self.world - 1) / 2))

    def broadcast(self) -> dict[str, Any]:
        """All have what the first has."""
        value = torch.full((1000,), float(self.rank), device=self.device)
        dist.broadcast(value, src=0)
        return _equal(value, torch.zeros_like(value))

    def all_gather(self) -> dict[str, Any]:
        """All have everyone's numbers, in order."""
        own = torch.full((10,), float(self.rank), device=self.device)
        parts = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(parts, own)
        expected = torch.arange(self.world, dtype=own.dtype, device=self.device).repeat_interleave(10)
        return _equal(torch.cat(parts), expected)

    def barrier(self) -> dict[str, Any]:
        """All wait for all."""
        dist.barrier()
        return {}

    def gradients(self) -> dict[str, Any]:
        """Gradients of a small model in DDP: equal on all ranks, and those of the whole batch at once."""
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 4)).to(self.device)
        inputs_BI = torch.randn(4 * self.world, 16).to(self.device)
        # DDP averages over ranks, so the whole batch's mean is the measure.
        model(inputs_BI).square().mean().backward()
        whole = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        model.zero_grad()
        ids = [self.device.index] if self.backend == "nccl" else None
        parallel = DistributedDataParallel(model, device_ids=ids)
        parallel(inputs_BI[4 * self.rank : 4 * (self.rank + 1)]).square().mean().backward()
        own = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        gathered = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(gathered, own)
        between = max(float((other - own).abs().max()) for other in gathered)
        to_whole = float((own - whole).abs().max() / whole.abs().max())
        right = between == 0 and to_whole <= _TOLERANCE
        return {"right": right, "between_ranks": between, "to_one_process": to_whole}

    def bandwidth(self) -> dict[str, Any]:
        """An all-reduce of the size of gradients; bytes over the bus, as NCCL's tests count them."""
        value = torch.ones(self.megabytes * 250_000, device=self.device)
        dist.all_reduce(value)
        self._wait()
        started = time.perf_counter()
        for _ in range(_REPEATS):
            dist.all_reduce(value)
        self._wait()
        seconds = (time.perf_counter() - started) / _REPEATS
        sent = 2 * (self.world - 1) / self.world * value.numel() * 4
        return {"megabytes": self.megabytes, "seconds": seconds, "gigabytes_per_second": sent / seconds / 1e9}

    def _wait(self) -> None:
        if self.backend == "nccl":
            torch.cuda.synchronize()
        dist.barrier()


def _equal(found: torch.Tensor, expected: torch.Tensor) -> dict[str, Any]:
    return {"right": bool(torch.equal(found, expected))}


def main(report: Path, backend: str, timeout: float, megabytes: int) -> None:
    """Run every step and note each as it succeeds; an exception ends the process and is noted."""
    with report.open("w", buffering=1) as file:

        def note(step: str, entry: dict[str, Any]) -> None:
            file.write(json.dumps({"step": step, **entry}) + "\n")

        rank: Rank | None = None
        for step in STEPS:
            note(step, {"state": "started"})
            started = time.perf_counter()
            try:
                rank = rank or Rank(backend, timeout, megabytes)
                call: Callable[[], dict[str, Any]] = getattr(rank, step)
                found = call()
            except Exception as error:
                note(step, {"state": "failed", "error": f"{type(error).__name__}: {error}".splitlines()[0]})
                raise
            note(step, {"state": "done", "took": time.perf_counter() - started, **found})
    # What DDP holds of the group would live until Python ends, which then aborts in one run of three.
    gc.collect()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
