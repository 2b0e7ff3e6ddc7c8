"""The waypoints of a training run: those kept beside its dataset, made first where there are none."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.columns import recorded_episodes
from lerobot_plugins.waypoints.dataset import (
    extract_waypoints_of,
    load_waypoints,
    make_waypoints,
    waypoints_path,
)
from lerobot_plugins.waypoints.rule import WaypointRule
from lerobot_plugins.waypoints.table import Waypoints
from lerobot_plugins.waypoints.targets import FrameTargets

logger = logging.getLogger(__name__)


def training_waypoints(root: Path, rule: WaypointRule | None, name: str, max_duration: int) -> FrameTargets:
    """Targets for every frame of a dataset.

    Args:
        root: The dataset's folder.
        rule: How waypoints are made. None takes those kept under `name`, whatever made them.
        name: Under which they are kept; with `rule` a hash of it is added where the name is taken by others.
        max_duration: Longest segment that the policy can carry.

    Raises:
        ZooError: The dataset's files are not there or changed, waypoints of the name are missing, or a
            segment is too long.
    """
    _require_columns(root)
    with _first_process_first():
        table = load_waypoints(root, name) if rule is None else _of_rule(root, rule, name)
    for episode in table:
        longest = int(episode.durations.max(initial=0))
        if longest > max_duration:
            raise ZooError(
                f"a segment of episode {episode.episode_index} is longer than the policy can carry",
                got=f"{longest} frames, in the waypoints {name!r} of {root}",
                expected=f"at most {max_duration}",
                do=f"make others: lerobot-plugins waypoints --root={root} --max-duration={max_duration}, or "
                "import the file again with that option; or raise --policy.max_duration and chunk_size",
            )
    states = [episode.state_TS for episode in recorded_episodes(root, table.rule)]
    counts = sum(len(episode.indices) for episode in table)
    logger.info(
        "%s: %d waypoints in %d frames of %d episodes", name, counts, sum(map(len, states)), len(table)
    )
    return FrameTargets(table, np.concatenate(states))


def _of_rule(root: Path, rule: WaypointRule, name: str) -> Waypoints:
    """Kept waypoints of this rule, or new ones."""
    for candidate in (name, f"{name}-{_digest(rule)}"):
        path = waypoints_path(root, candidate)
        if path.exists() and Waypoints.load(path).rule != rule:
            continue
        if path.exists():
            return load_waypoints(root, candidate)
        if not os.access(root / "meta", os.W_OK):
            logger.warning(
                "%s cannot be written to: its waypoints are made for this run and not kept; to keep them, "
                "run `lerobot-plugins waypoints` on a copy that can",
                root,
            )
            return extract_waypoints_of(root, rule)
        return make_waypoints(root, rule, candidate)
    raise AssertionError("a name with the rule's own hash holds that rule")


@contextmanager
def _first_process_first() -> Iterator[None]:
    """In a data-parallel run the first process goes ahead; the others find what it has made.

    Each process passes the barrier once, also where the first one fails: the others then meet its error.
    """
    # Here, because everything else in this room does without torch.
    from torch import distributed

    parallel = distributed.is_initialized()
    first = not parallel or distributed.get_rank() == 0
    if not first:
        distributed.barrier()
    try:
        yield
    finally:
        if parallel and first:
            distributed.barrier()


def _digest(rule: WaypointRule) -> str:
    return hashlib.sha256(json.dumps(rule.to_dict()).encode()).hexdigest()[:8]


def _require_columns(root: Path) -> None:
    if not any((root / "data").rglob("*.parquet")):
        raise ZooError(
            f"waypoints are made from the columns of a dataset, and {root} has none",
            got="no parquet file in data/",
            expected="the whole dataset on disk; streaming is not enough",
            do="download it first: hf download USER/NAME --repo-type dataset --local-dir DIR, then pass "
            "--dataset.root=DIR",
        )
