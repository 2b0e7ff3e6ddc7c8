"""Whether datasets have the same form (rate, robot, features), so that their frames can be one dataset."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lerobot_plugins.conversion.source import EpisodeSource, is_camera
from lerobot_plugins.errors import ZooError

Form = Mapping[str, Any]
# LeRobot's columns, which every dataset has.
ADDED_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
# What a video must have in common with those it is joined to.
_VIDEO_FACTS = ("video.codec", "video.pix_fmt", "video.height", "video.width", "video.fps", "is_depth_map")


def read_info(root: Path) -> dict[str, Any]:
    """`meta/info.json` of a LeRobotDataset v3.

    Raises:
        ZooError: There is none, or of another version.
    """
    path = root / "meta" / "info.json"
    if not path.is_file():
        raise ZooError(
            f"{root} holds no LeRobotDataset", got="no meta/info.json", expected="a dataset's folder"
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        version = info["codebase_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ZooError(f"{path} is malformed", got=repr(error), expected="what LeRobot writes") from error
    if not str(version).startswith("v3."):
        raise ZooError(
            f"{root} is a dataset of another version",
            got=version,
            expected="v3.0",
            do="convert it with python -m lerobot.scripts.convert_dataset_v21_to_v30",
        )
    return info


def differences(one: Form, other: Form, *, stored: bool = True) -> list[str]:
    """What differs between two datasets' infos, in words: first the one, then the other.

    Args:
        one: `fps`, `robot_type` and `features` of one dataset.
        other: Those of the other.
        stored: Whether it matters how pictures are stored.
    """
    found = [
        f"{key} {one.get(key)}, {other.get(key)}"
        for key in ("fps", "robot_type")
        if one.get(key) != other.get(key)
    ]
    return found + list(_features(one["features"], other["features"], stored))


def require_match(source: EpisodeSource, root: Path) -> None:
    """Refuse a source whose dataset could not be merged with the one at `root`.

    Raises:
        ZooError: Rate, robot or features differ; the message names the differences.
    """
    form = {"fps": source.fps, "robot_type": source.robot_type, "features": source.features}
    if found := differences(read_info(root), form, stored=False):
        raise ZooError(
            f"the data do not have the form of {root} [other-form]",
            got="; ".join(found),
            expected="the same rate, robot and features: first the dataset's, then the data's",
            do="correct the options, or convert without --match",
        )


def _features(one: Form, other: Form, stored: bool) -> Iterator[str]:
    one, other = ({k: v for k, v in features.items() if k not in ADDED_COLUMNS} for features in (one, other))
    for key in [*one, *(key for key in other if key not in one)]:
        if key not in other:
            yield f"{key} is in the first only"
        elif key not in one:
            yield f"{key} is in the second only"
        else:
            yield from _facts(key, one[key], other[key], stored)


def _facts(key: str, one: Form, other: Form, stored: bool) -> Iterator[str]:
    both_cameras = is_camera(one) and is_camera(other)
    if one["dtype"] != other["dtype"] and (stored or not both_cameras):
        yield f"{key}: dtype {one['dtype']}, {other['dtype']}"
    if list(one["shape"]) != list(other["shape"]):
        yield f"{key}: shape {list(one['shape'])}, {list(other['shape'])}"
    elif one.get("names") != other.get("names"):
        yield f"{key}: names {one.get('names')}, {other.get('names')}"
    if stored:
        facts, others = one.get("info") or {}, other.get("info") or {}
        for name in _VIDEO_FACTS:
            if facts.get(name) != others.get(name):
                yield f"{key}: {name} {facts.get(name)}, {others.get(name)}"
