"""Published `waypoint_indices.json` files, in and out.

Such a file knows its episodes only by the order in which TensorFlow Datasets once read them. So a list is
taken only if it fits its episode: the length, strictly increasing frames from the first to the last, and
every change of the gripper being a waypoint.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_plugins.conversion.locating import located
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.evaluation.files import write_atomically
from lerobot_plugins.waypoints.columns import (
    EpisodeColumns,
    combined_digest,
    episode_count,
    recorded_episodes,
)
from lerobot_plugins.waypoints.extraction import gripper_events
from lerobot_plugins.waypoints.rule import WaypointRule
from lerobot_plugins.waypoints.table import EpisodeWaypoints, Waypoints, read_json

_OTHER_ORDER = "the file belongs to another dataset or reading order: extract instead of importing"


def import_index_file(
    path: Path, root: Path, rule: WaypointRule, max_duration: int | None = None
) -> Waypoints:
    """Waypoints of a dataset from a published file whose `src_ep_idx` are the dataset's episodes.

    Args:
        path: The file.
        root: The dataset, whose columns every list is checked against.
        rule: Dimensions; the threshold is the file's.
        max_duration: Split longer segments evenly; None keeps them, and claims no limit.

    Raises:
        ZooError: The file is none of these, lacks or repeats episodes, or a list does not fit its episode.
    """
    with located(str(path)):
        content = read_json(path)
        try:
            threshold = float(content["config"]["err_threshold"])
            rule = replace(rule, threshold=threshold, max_duration=max_duration)
            grippers = content["config"].get("gripper_indices", list(rule.gripper_dims))
            entries = {int(entry["src_ep_idx"]): entry for entry in content["episodes"]}
            repeated = len(content["episodes"]) - len(entries)
        except (KeyError, TypeError, ValueError) as error:
            raise ZooError(
                "no published index file",
                got=repr(error),
                expected="config.err_threshold and episodes with src_ep_idx and waypoint_indices",
            ) from error
        if list(grippers or []) != list(rule.gripper_dims):
            raise ZooError(
                "the gripper dimensions differ",
                got=grippers,
                expected=list(rule.gripper_dims),
                do="choose the preset of this robot, or pass --gripper-dims",
            )
        if repeated or set(entries) != set(range(episode_count(root))):
            raise ZooError(
                f"the episodes are not those of {root}",
                got=f"{len(entries)} episodes and {repeated} repetitions: {first_names(entries)}",
                expected=f"0 ... {episode_count(root) - 1}, each once",
                do=_OTHER_ORDER,
            )
        episodes, digests = [], []
        for columns in recorded_episodes(root, rule):
            episode = _fitting(entries[columns.episode_index], columns, rule)
            episodes.append(episode if max_duration is None else split_longer(episode, max_duration))
            digests.append(columns.digest(rule))
        return Waypoints(rule, combined_digest(digests), "imported", tuple(episodes))


def split_longer(episode: EpisodeWaypoints, max_duration: int) -> EpisodeWaypoints:
    """The episode with evenly spaced frames added where a segment is longer than `max_duration`."""
    parts = [np.zeros(1, np.int64)]
    for first, last in pairwise(episode.indices.tolist()):
        pieces = -(-(last - first) // max_duration)
        parts.append(first + (np.arange(1, pieces + 1) * (last - first)) // pieces)
    return replace(episode, indices=np.concatenate(parts))


def export_index_file(table: Waypoints, path: Path, *, mode: str, source: str) -> None:
    """Write a table in the published layout.

    Args:
        table: The waypoints.
        path: The file to write.
        mode: What the layout calls `dataset_mode`, such as `libero`.
        source: A name of the dataset, such as its repo id.
    """
    rule = table.rule
    config = {
        "dataset_mode": mode,
        "err_threshold": rule.threshold,
        "extraction_key": " + ".join(f"{rule.state_key}{list(arm)}" for arm in rule.arms),
        "gripper_indices": list(rule.gripper_dims),
        "gripper_atol": rule.gripper_atol,
        "src_data_dir": source,
        "dst_data_dir": "",
        "total_episodes": len(table),
        "total_src_steps": sum(episode.frames for episode in table),
        "total_wp_steps": sum(len(episode.indices) for episode in table),
    }
    episodes = [
        {
            "src_ep_idx": episode.episode_index,
            "file_path": "",
            "original_steps": episode.frames,
            "waypoint_steps": len(episode.indices),
            "waypoint_indices": episode.indices.tolist(),
        }
        for episode in table
    ]
    write_atomically(path, json.dumps({"config": config, "episodes": episodes}) + "\n")


def _fitting(entry: Mapping[str, Any], columns: EpisodeColumns, rule: WaypointRule) -> EpisodeWaypoints:
    index, frames = columns.episode_index, len(columns.state_TS)
    if entry.get("original_steps") != frames:
        raise ZooError(
            f"episode {index} has another length",
            got=f"original_steps {entry.get('original_steps')}",
            expected=f"{frames} frames, as the dataset has",
            do=_OTHER_ORDER,
        )
    episode = EpisodeWaypoints(index, frames, entry.get("waypoint_indices", []))
    stated = entry.get("waypoint_steps", len(episode.indices))
    if stated != len(episode.indices):
        raise ZooError(
            f"episode {index} lists another number of waypoints than it states",
            got=len(episode.indices),
            expected=f"waypoint_steps {stated}",
            do="get the file again",
        )
    if rule.gripper_dims:
        events = gripper_events(columns.action_TA[:, list(rule.gripper_dims)], rule.gripper_atol)
        if missing := set(events) - set(episode.indices.tolist()):
            raise ZooError(
                f"episode {index} moves its gripper where the list has no waypoint",
                got=f"changes in frames {sorted(missing)[:5]}",
                expected="every change of the gripper among the waypoints",
                do=_OTHER_ORDER,
            )
    return episode
