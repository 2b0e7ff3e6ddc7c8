"""Waypoints of a whole dataset, made by worker processes and kept beside it.

Finished episodes go to `meta/waypoints/.<name>.partial`, a line each, so an interrupted run continues; the
complete table is renamed to `meta/waypoints/<name>.json`. Both name the columns that they were made from.
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import IO

from tqdm import tqdm

from lerobot_plugins.conversion.locating import located
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation.files import write_atomically
from lerobot_plugins.waypoints.columns import (
    EpisodeColumns,
    combined_digest,
    episode_count,
    recorded_episodes,
)
from lerobot_plugins.waypoints.extraction import extract_waypoints
from lerobot_plugins.waypoints.rule import WaypointRule
from lerobot_plugins.waypoints.table import EpisodeWaypoints, Waypoints, episode_from_dict, episode_to_dict
from lerobot_plugins.worker_pool import worker_pool

Result = tuple[str, EpisodeWaypoints]  # the digest of the columns, the waypoints

# Enough that no worker waits for the slowest one, few enough that little is held in memory.
_QUEUED_PER_WORKER = 8


def waypoints_path(root: Path, name: str) -> Path:
    """Where a dataset keeps the waypoints of this name."""
    if not re.fullmatch(r"[\w-]+", name):
        raise ZooError("waypoints have a wrong name", got=name, expected="letters, digits, _ and -")
    return root / "meta" / "waypoints" / f"{name}.json"


def load_waypoints(root: Path, name: str) -> Waypoints:
    """The waypoints kept beside a dataset, checked against its columns.

    Raises:
        ZooError: They are not there, or the dataset has changed since.
    """
    path = waypoints_path(root, name)
    if not path.exists():
        kept = sorted(other.stem for other in path.parent.glob("*.json"))
        raise ZooError(
            f"{root} has no waypoints named {name}",
            got=", ".join(kept) or "none",
            expected=str(path),
            do=f"lerobot-plugins waypoints --root={root} --name={name} --robot=...",
        )
    table = Waypoints.load(path)
    now = combined_digest([episode.digest(table.rule) for episode in recorded_episodes(root, table.rule)])
    if now != table.columns_sha256:
        raise ZooError(
            f"{path} was made from other states or actions than the dataset holds now",
            got=table.columns_sha256,
            expected=now,
            do="run `lerobot-plugins waypoints` again with --overwrite",
        )
    return table


def extract_waypoints_of(root: Path, rule: WaypointRule) -> Waypoints:
    """The waypoints of every episode, kept nowhere.

    Raises:
        ZooError: An episode is bad.
    """
    digests, episodes = zip(*_extract(root, rule, {}, workers=1), strict=True)
    return Waypoints(rule, combined_digest(list(digests)), "extracted", episodes)


def make_waypoints(root: Path, rule: WaypointRule, name: str, *, workers: int = 1) -> Waypoints:
    """Extract the waypoints of every episode and keep them beside the dataset, in place of older ones.

    Raises:
        ZooError: An episode is bad, a worker was killed, or the folder cannot be written.
        KeyboardInterrupt: With how far the work came.
    """
    path = waypoints_path(root, name)
    partial = path.with_name(f".{name}.partial")
    total = episode_count(root)
    done: list[EpisodeWaypoints] = []
    digests: list[str] = []
    try:
        kept = _read_partial(partial, rule)
        with (
            _open_partial(partial, rule, kept) as lines,
            tqdm(total=total, desc="waypoints", unit="episode") as bar,
        ):
            for digest, episode in _extract(root, rule, kept, workers):
                if episode.episode_index not in kept:
                    lines.write(_line(digest, episode))
                    lines.flush()
                digests.append(digest)
                done.append(episode)
                bar.update()
        table = Waypoints(rule, combined_digest(digests), "extracted", tuple(done))
        table.save(path)
        partial.unlink()
    except OSError as error:
        raise ZooError(
            f"waypoints cannot be written to {path.parent}",
            got=error,
            do="make room or the folder writable, and run the same command again: finished episodes are kept",
        ) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: {len(done)} of {total} episodes are kept, run the same command again to continue"
        ) from None
    return table


def _extract(root: Path, rule: WaypointRule, kept: dict[int, Result], workers: int) -> Iterator[Result]:
    """Results in the order of the dataset; kept ones are taken where the columns are still the same."""
    if workers == 1:
        for columns in recorded_episodes(root, rule):
            yield _kept(kept, columns, rule) or _one_episode(columns, rule)
        return
    with worker_pool(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        for columns in recorded_episodes(root, rule):
            if result := _kept(kept, columns, rule):
                future: Future[Result] = Future()
                future.set_result(result)
            else:
                future = pool.submit(_one_episode, columns, rule)
            waiting.append(future)
            if len(waiting) == workers * _QUEUED_PER_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _one_episode(columns: EpisodeColumns, rule: WaypointRule) -> Result:
    with located(f"episode {columns.episode_index}"):
        indices = extract_waypoints(columns.state_TS, columns.action_TA, rule)
    return columns.digest(rule), EpisodeWaypoints(columns.episode_index, len(columns.state_TS), indices)


def _kept(kept: dict[int, Result], columns: EpisodeColumns, rule: WaypointRule) -> Result | None:
    """The result of an earlier run; dropped where the episode has changed since."""
    result = kept.get(columns.episode_index)
    if result and result[0] != columns.digest(rule):
        del kept[columns.episode_index]
        return None
    return result


def _line(digest: str, episode: EpisodeWaypoints) -> str:
    return json.dumps(episode_to_dict(episode) | {"sha256": digest}) + "\n"


def _read_partial(path: Path, rule: WaypointRule) -> dict[int, Result]:
    """Episodes that an interrupted run of the same rule finished; a line cut short is not one of them."""
    if not path.exists():
        return {}
    lines = path.read_text().splitlines(keepends=True)
    if not lines or lines[0] != _head(rule):
        return {}
    finished = [json.loads(line) for line in lines[1:] if line.endswith("\n")]
    return {line["episode_index"]: (line["sha256"], episode_from_dict(line)) for line in finished}


def _open_partial(path: Path, rule: WaypointRule, kept: dict[int, Result]) -> IO[str]:
    """The file of finished episodes, cleaned and open for more."""
    write_atomically(path, _head(rule) + "".join(_line(*result) for result in kept.values()))
    return path.open("a")


def _head(rule: WaypointRule) -> str:
    return json.dumps(rule.to_dict()) + "\n"
