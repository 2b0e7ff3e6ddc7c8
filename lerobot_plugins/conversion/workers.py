"""Stage episodes in worker processes, in a fixed order of results.

Workers import neither torch nor LeRobot, so they start in a fraction of a second.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future

from lerobot_plugins.conversion.episode import ImageStorage, stage_episode
from lerobot_plugins.conversion.source import EpisodeSource
from lerobot_plugins.conversion.staging import Staging
from lerobot_plugins.errors import ZooError
from lerobot_plugins.worker_pool import worker_pool

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
    with worker_pool(workers, _start_worker, source, staging, storage) as pool:
        waiting: deque[tuple[int, Future]] = deque()
        for index in indices:
            waiting.append((index, pool.submit(_work, index)))
            if len(waiting) == workers * _QUEUED_PER_WORKER:
                yield _next_outcome(waiting)
        while waiting:
            yield _next_outcome(waiting)


def _next_outcome(waiting: deque[tuple[int, Future]]) -> Outcome:
    index, future = waiting.popleft()
    return index, future.result()


def _start_worker(*job: object) -> None:
    global _job
    _job = job  # type: ignore[assignment]


def _work(index: int) -> int | ZooError:
    source, staging, storage = _job
    return _attempt(source, index, staging, storage)


def _attempt(source: EpisodeSource, index: int, staging: Staging, storage: ImageStorage) -> int | ZooError:
    try:
        return stage_episode(source, index, staging, storage)
    except ZooError as error:
        return error
