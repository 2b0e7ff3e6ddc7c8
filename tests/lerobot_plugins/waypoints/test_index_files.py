"""Published index files: out and in again, and every way in which one may not fit its dataset."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from waypoint_data import write_walks

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.dataset import load_waypoints, make_waypoints
from lerobot_plugins.waypoints.index_files import export_index_file, import_index_file, split_longer
from lerobot_plugins.waypoints.rule import WaypointRule
from lerobot_plugins.waypoints.table import EpisodeWaypoints

RULE = WaypointRule(arms=(tuple(range(6)),), threshold=0.03, gripper_dims=(6,))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_walks(tmp_path / "walks")


@pytest.fixture
def published(root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "waypoint_indices.json"
    export_index_file(make_waypoints(root, RULE, "walks"), path, mode="libero", source="me/walks")
    return path


def test_the_published_layout(root: Path, published: Path) -> None:
    content = json.loads(published.read_text())
    table = load_waypoints(root, "walks")
    assert content["config"] == {
        "dataset_mode": "libero",
        "err_threshold": 0.03,
        "extraction_key": "observation.state[0, 1, 2, 3, 4, 5]",
        "gripper_indices": [6],
        "gripper_atol": 1.0,
        "src_data_dir": "me/walks",
        "dst_data_dir": "",
        "total_episodes": 4,
        "total_src_steps": 88,
        "total_wp_steps": sum(len(episode.indices) for episode in table),
    }
    assert content["episodes"][2] == {
        "src_ep_idx": 2,
        "file_path": "",
        "original_steps": 12,
        "waypoint_steps": len(table[2].indices),
        "waypoint_indices": table[2].indices.tolist(),
    }


def test_what_is_exported_is_imported(root: Path, published: Path) -> None:
    made = load_waypoints(root, "walks")
    table = import_index_file(published, root, replace(RULE, threshold=0.9))
    assert table.origin == "imported"
    assert table.rule == replace(RULE, max_duration=None)
    assert [episode.indices.tolist() for episode in table] == [e.indices.tolist() for e in made]
    assert table.columns_sha256 == made.columns_sha256
    table.save(root / "meta" / "waypoints" / "imported.json")
    assert load_waypoints(root, "imported").rule == table.rule


def test_the_shorter_variants_of_the_layout_are_read(root: Path, published: Path) -> None:
    content = json.loads(published.read_text())
    content["config"] = {"err_threshold": 0.03}
    for entry in content["episodes"]:
        del entry["file_path"], entry["waypoint_steps"]
    content["episodes"].reverse()
    published.write_text(json.dumps(content))
    assert len(import_index_file(published, root, RULE)) == 4


def _without_gripper(entry: dict[str, Any]) -> None:
    entry["waypoint_indices"].remove(entry["original_steps"] // 2)
    entry["waypoint_steps"] -= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["episodes"][1].update(original_steps=30), "episode 1 has another length"),
        (lambda c: c["episodes"][1]["waypoint_indices"].pop(), "episode 1 do not fit its 31 frames"),
        (lambda c: c["episodes"][1]["waypoint_indices"].insert(1, 0), "episode 1 do not fit"),
        (lambda c: c["episodes"][1].update(waypoint_indices="all"), "episode 1 do not fit"),
        (lambda c: c["episodes"][1].update(waypoint_steps=2), "another number of waypoints"),
        (lambda c: _without_gripper(c["episodes"][3]), "episode 3 moves its gripper"),
        (lambda c: c["episodes"].pop(), r"episodes are not those of(.|\n)*3 episodes"),
        (lambda c: c["episodes"][1].update(src_ep_idx=0), "1 repetitions"),
        (lambda c: c["config"].update(gripper_indices=[6, 13]), "gripper dimensions differ"),
        (lambda c: c.pop("config"), "no published index file"),
        (lambda c: c["episodes"][0].pop("src_ep_idx"), "no published index file"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    root: Path, published: Path, change: Callable[[Any], Any], message: str
) -> None:
    content = json.loads(published.read_text())
    change(content)
    published.write_text(json.dumps(content))
    with pytest.raises(ZooError, match=rf"waypoint_indices\.json: (.|\n)*{message}"):
        import_index_file(published, root, RULE)


@pytest.mark.parametrize(
    ("indices", "limit", "expected"),
    [
        ([0, 14, 21], 32, [0, 14, 21]),
        ([0, 40], 32, [0, 20, 40]),
        ([0, 3, 70, 71], 32, [0, 3, 25, 47, 70, 71]),
        ([0, 5], 1, [0, 1, 2, 3, 4, 5]),
        ([0], 4, [0]),
    ],
)
def test_longer_segments_are_split_evenly(indices: list[int], limit: int, expected: list[int]) -> None:
    episode = split_longer(EpisodeWaypoints(3, indices[-1] + 1, indices), limit)
    assert episode.indices.tolist() == expected
    assert episode.episode_index == 3
    assert episode.durations.max(initial=0) <= limit


def test_an_import_may_ask_for_a_limit(root: Path, published: Path) -> None:
    whole = import_index_file(published, root, RULE)
    table = import_index_file(published, root, RULE, max_duration=2)
    assert table.rule.max_duration == 2
    for episode, split in zip(whole, table, strict=True):
        assert set(episode.indices.tolist()) <= set(split.indices.tolist())
        assert split.durations.max() <= 2
