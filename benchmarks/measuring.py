"""What the benchmarks measure with."""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def seconds(call: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def beside(peer: Callable[[], Any], ours: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Times of both in turn, so that both meet the same state of a shared machine."""
    pairs = [(seconds(peer), seconds(ours)) for _ in range(repeats)]
    ratios = sorted(theirs / own for theirs, own in pairs)
    return {
        "peer_seconds": min(theirs for theirs, _ in pairs),
        "our_seconds": min(own for _, own in pairs),
        "speedup_median": ratios[len(ratios) // 2],
        "speedup_range": [ratios[0], ratios[-1]],
    }


def peak_growth(call: Callable[[], Any]) -> int:
    """How far the resident set grows above its start during a call, in bytes (Linux)."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024
