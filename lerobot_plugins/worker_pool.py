"""Worker processes that outlive Ctrl-C until their work is done, and never their parent.

They are spawned, not forked: a fork of a process that runs torch's threads may hang.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

from lerobot_plugins.errors import ZooError


class WorkerPool(ProcessPoolExecutor):
    """A pool whose workers Ctrl-C does not reach; the parent decides, so that running work can finish."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        # A worker may be spawned here and inherits the mask; one that ignored the signal only once it runs
        # would die of it while it starts. What comes in between reaches the parent when the mask is lifted.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def worker_pool(
    workers: int, prepare: Callable[..., None] | None = None, *arguments: object
) -> Generator[WorkerPool]:
    """Worker processes, each of which first calls `prepare(*arguments)`.

    Leaving the block, by Ctrl-C too, lets running work finish and drops what is queued.

    Raises:
        ZooError: A worker was killed.
    """
    context = multiprocessing.get_context("spawn")
    with WorkerPool(workers, context, partial(_start, prepare, *arguments)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise ZooError(
                "a worker process was killed, perhaps because memory ran out",
                do="run the same command again with fewer --workers; finished episodes are kept",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(prepare: Callable[..., None] | None, *arguments: object) -> None:
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    if prepare:
        prepare(*arguments)


def _exit_with_parent() -> None:
    """A killed parent cannot shut its pool down, and its workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
