"""The waypoints of a training run: those kept beside its dataset, made first where there are none."""

import hashlib
import json
import logging
import os
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
    """Kept waypoints of this rule, or new ones; one process of a data-parallel run makes them."""
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
        return _made_once(root, rule, candidate)
    raise AssertionError("a name with the rule's own hash holds that rule")


def _made_once(root: Path, rule: WaypointRule, name: str) -> Waypoints:
    # Here, because everything else in this room does without torch.
    from torch import distributed

    if not distributed.is_initialized():
        return make_waypoints(root, rule, name)
    if distributed.get_rank() == 0:
        table = make_waypoints(root, rule, name)
        distributed.barrier()
        return table
    distributed.barrier()
    return load_waypoints(root, name)


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
