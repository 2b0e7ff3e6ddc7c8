"""What info.json, meta/episodes and the data files say of each other, before any frame is read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_plugins.doctor.dataset.dimensions import INDEX_FEATURES, flat_names, is_vector
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, ok, problem
from lerobot_plugins.doctor.dataset.recorded import UNREADABLE, Recorded

_AGAIN = "convert or download the dataset again"


def structure_findings(recorded: Recorded) -> list[DatasetFinding]:
    """Files, features and counts."""
    rows, files = _file_findings(recorded)
    features = _feature_findings(recorded)
    # Numbers that follow from a missing file say nothing more.
    counts = [] if files else _episode_findings(recorded) or _count_findings(recorded, rows)
    return [
        *(files or [ok("files", f"{len(recorded.data_files)} data files can be read")]),
        *(features or [ok("features", f"{len(recorded.features)} features are stored as info.json says")]),
        *(
            counts
            or [ok("counts", f"{recorded.info.get('total_episodes')} episodes, {rows} frames")] * (not files)
        ),
    ]


def readable_features(recorded: Recorded) -> list[str]:
    """The vector features whose columns are as wide as their shape says, LeRobot's own among them."""
    stored = recorded.stored()
    return [
        key
        for key, entry in recorded.features.items()
        if is_vector(entry) and key in stored and _width(recorded, stored[key]) == _size(entry)
    ]


def _file_findings(recorded: Recorded) -> tuple[int, list[DatasetFinding]]:
    rows, findings = 0, []
    for path in recorded.data_files:
        try:
            rows += pq.read_metadata(path).num_rows
        except UNREADABLE as error:
            text = f"{path.relative_to(recorded.root)} cannot be read: {str(error).splitlines()[0]}"
            findings.append(problem("files", text, _AGAIN, value=str(path.name)))
    wanted = {_data_path(recorded, row) for row in recorded.episodes} - {None}
    for name in sorted(name for name in wanted if name and not (recorded.root / name).is_file())[:3]:
        findings.append(problem("files", f"{name} is missing", _AGAIN, value=name))
    if not recorded.data_files:
        findings.append(problem("files", "there are no data files", _AGAIN))
    if not recorded.episodes:
        findings.append(problem("files", "meta/episodes is missing or cannot be read", _AGAIN))
    return rows, findings


def _data_path(recorded: Recorded, row: Mapping[str, Any]) -> str | None:
    template = recorded.info.get("data_path")
    chunk, file = row.get("data/chunk_index"), row.get("data/file_index")
    if not template or chunk is None or file is None:
        return None
    return str(template).format(chunk_index=chunk, file_index=file)


def _feature_findings(recorded: Recorded) -> list[DatasetFinding]:
    findings, stored = [], recorded.stored()
    for key, entry in recorded.features.items():
        if "dtype" not in entry or "shape" not in entry:
            findings.append(
                problem("features", f"{key} has no dtype or no shape in info.json", _AGAIN, feature=key)
            )
            continue
        if entry["dtype"] == "video":
            continue
        if stored and key not in stored:
            findings.append(problem("features", f"{key} is not in the data files", _AGAIN, feature=key))
            continue
        if not is_vector(entry) or key in INDEX_FEATURES:
            continue
        size = _size(entry)
        width = _width(recorded, stored[key]) if stored else size
        names = flat_names(entry.get("names"))
        if width != size:
            findings.append(
                problem(
                    "features",
                    f"{key} has {size} numbers in info.json and {_spelled(width)} in the data files",
                    "put the true shape and names into meta/info.json, or convert again",
                    feature=key,
                    value=width,
                    limit=size,
                )
            )
        # `["state"]` names the whole.
        elif len(names) not in (0, 1, size):
            findings.append(
                problem(
                    "features",
                    f"{key} has {size} numbers and {len(names)} names ({names[0]} ... {names[-1]})",
                    "name every number in meta/info.json: checks, robots and policies go by these names",
                    feature=key,
                    value=len(names),
                    limit=size,
                )
            )
        elif len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            text = f"{key} has names twice: {', '.join(twice)}"
            findings.append(
                problem("features", text, "give every number its own name", feature=key, columns=tuple(twice))
            )
    return findings


def _count_findings(recorded: Recorded, rows: int) -> list[DatasetFinding]:
    lengths = sum(int(row.get("length") or 0) for row in recorded.episodes)
    found = {
        "total_episodes": (len(recorded.episodes), "meta/episodes"),
        "total_frames": (rows, "the data files"),
    }
    findings = [
        problem(
            "counts",
            f"{key} is {recorded.info.get(key)} in info.json, {number} in {where}",
            _AGAIN,
            feature=key,
            value=recorded.info.get(key),
            limit=number,
        )
        for key, (number, where) in found.items()
        if recorded.info.get(key) != number
    ]
    if not findings and lengths != rows:
        text = f"the episodes in meta/episodes have {lengths} frames, the data files {rows}"
        findings.append(problem("counts", text, _AGAIN, feature="length", value=lengths, limit=rows))
    return findings


def _episode_findings(recorded: Recorded) -> list[DatasetFinding]:
    expected = 0
    for number, row in enumerate(recorded.episodes):
        episode, length = row.get("episode_index"), int(row.get("length") or 0)
        span = (row.get("dataset_from_index"), row.get("dataset_to_index"))
        if episode != number or span != (expected, expected + length):
            return [
                problem(
                    "counts",
                    f"meta/episodes: row {number} is episode {episode} with frames {span[0]} to {span[1]}, "
                    f"expected episode {number} with {expected} to {expected + length}",
                    _AGAIN,
                    feature="dataset_from_index",
                    episode=number,
                    value=str(span),
                    limit=str((expected, expected + length)),
                )
            ]
        expected += length
    return []


def _size(entry: Mapping[str, Any]) -> int:
    return int(np.prod(entry["shape"])) if entry.get("shape") else 1


def _width(recorded: Recorded, field: pa.Field) -> int:
    """Numbers in a stored column; -1 for lists whose lengths differ."""
    kind = field.type
    if isinstance(kind, pa.ExtensionType):
        kind = kind.storage_type
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size
    return recorded.list_width(field.name) if pa.types.is_list(kind) or pa.types.is_large_list(kind) else 1


def _spelled(width: int) -> str:
    return str(width) if width >= 0 else "lists of several lengths"
