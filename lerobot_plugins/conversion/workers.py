"""Stage episodes in worker processes, in a fixed order of results.

Workers are spawned, not forked (a fork of a process that runs torch's threads may hang), and import neither
torch nor LeRobot, so they start in a fraction of a second.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from lerobot_plugins.conversion.episode import ImageStorage, stage_episode
from lerobot_plugins.conversion.source import EpisodeSource
from lerobot_plugins.conversion.staging import Staging
from lerobot_plugins.errors import ZooError

Outcome = tuple[int, int | ZooError]
# Enough that no worker waits for the slowest one, few enough that an error stops the work soon.
_QUEUED_PER_WORKER = 4

_job: tuple[EpisodeSource, Staging, ImageStorage]


def stage_episodes(
    source: EpisodeSource, indices: Sequence[int], staging: Staging, storage: ImageStorage, workers: int
) -> Generator[Outcome]:
    """Stage episodes and yield `(index, frames or the error)` in the order of `indices`.

    With one worker the work is done here. Closing the iterator, or Ctrl-C, lets running episodes finish and
    drops the queued ones.

    Raises:
        ZooError: A worker was killed.
    """
    if workers == 1:
        for index in indices:
            yield index, _attempt(source, index, staging, storage)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (source, staging, storage)) as pool:
        waiting: deque[tuple[int, Future]] = deque()
        try:
            for index in indices:
                waiting.append((index, pool.submit(_work, index)))
                if len(waiting) == workers * _QUEUED_PER_WORKER:
                    yield _next_outcome(waiting)
            while waiting:
                yield _next_outcome(waiting)
        except BrokenProcessPool as error:
            raise ZooError(
                "a worker process was killed, perhaps because memory ran out",
                do="run the same command again with fewer --workers; finished episodes are kept",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _next_outcome(waiting: deque[tuple[int, Future]]) -> Outcome:
    index, future = waiting.popleft()
    return index, future.result()


def _start_worker(*job: object) -> None:
    global _job
    _job = job  # type: ignore[assignment]
    # Ctrl-C reaches the whole process group; the parent decides, so that running episodes can finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """A killed parent cannot shut its pool down, and its workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(index: int) -> int | ZooError:
    source, staging, storage = _job
    return _attempt(source, index, staging, storage)


def _attempt(source: EpisodeSource, index: int, staging: Staging, storage: ImageStorage) -> int | ZooError:
    try:
        return stage_episode(source, index, staging, storage)
    except ZooError as error:
        return error
