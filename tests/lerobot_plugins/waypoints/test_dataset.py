"""Waypoints of datasets: kept beside them, checked against their columns, continued after an interruption."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from waypoint_data import write_walks

from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints import dataset
from lerobot_plugins.waypoints.columns import recorded_episodes
from lerobot_plugins.waypoints.dataset import load_waypoints, make_waypoints
from lerobot_plugins.waypoints.extraction import extract_waypoints
from lerobot_plugins.waypoints.rule import PRESETS, WaypointRule
from lerobot_plugins.waypoints.summary import summarise
from lerobot_plugins.waypoints.table import EpisodeWaypoints, Waypoints

RULE = WaypointRule(arms=(tuple(range(6)),), threshold=0.03, gripper_dims=(6,))
SAMPLE = Path(__file__).parents[3] / "examples" / "sample_data" / "lerobot" / "libero_sample"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_walks(tmp_path / "walks")


def test_every_episode_is_extracted_and_found_again(root: Path) -> None:
    made = make_waypoints(root, RULE, "walks")
    kept = load_waypoints(root, "walks")
    assert kept.rule == RULE
    assert [episode.frames for episode in kept] == [20, 31, 12, 25]
    for columns in recorded_episodes(root, RULE):
        expected = extract_waypoints(columns.state_TS, columns.action_TA, RULE)
        assert kept[columns.episode_index].indices.tolist() == expected.tolist()
        assert made[columns.episode_index].indices.tolist() == expected.tolist()
        assert kept[columns.episode_index].durations.sum() == len(columns.state_TS) - 1
    with pytest.raises(ZooError, match="no waypoints of episode 4"):
        kept[4]
    assert [path.name for path in (root / "meta" / "waypoints").iterdir()] == ["walks.json"]


def test_worker_processes_write_the_same_bytes(root: Path) -> None:
    make_waypoints(root, RULE, "one")
    make_waypoints(root, RULE, "two", workers=2)
    folder = root / "meta" / "waypoints"
    assert (folder / "one.json").read_bytes() == (folder / "two.json").read_bytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_continues(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    make_waypoints(root, RULE, "whole")
    extracted: list[int] = []

    def stop_at_the_third(states: np.ndarray, actions: np.ndarray, rule: WaypointRule) -> np.ndarray:
        if len(extracted) == 2:
            raise error
        extracted.append(len(states))
        return extract_waypoints(states, actions, rule)

    monkeypatch.setattr(dataset, "extract_waypoints", stop_at_the_third)
    with pytest.raises(error, match="2 of 4 episodes are kept" if error is KeyboardInterrupt else None):
        make_waypoints(root, RULE, "walks")
    partial = root / "meta" / "waypoints" / ".walks.partial"
    partial.write_text(partial.read_text() + '{"episode_index": 2, "fra')  # cut short by a kill

    again: list[int] = []

    def count(states: np.ndarray, actions: np.ndarray, rule: WaypointRule) -> np.ndarray:
        again.append(len(states))
        return extract_waypoints(states, actions, rule)

    monkeypatch.setattr(dataset, "extract_waypoints", count)
    make_waypoints(root, RULE, "walks")
    assert (extracted, again) == ([20, 31], [12, 25])
    folder = root / "meta" / "waypoints"
    assert (folder / "walks.json").read_bytes() == (folder / "whole.json").read_bytes()
    assert not partial.exists()


def test_unfinished_work_of_another_rule_or_dataset_is_not_used(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_waypoints(root, RULE, "whole")

    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Waypoints, "save", lambda table, path: stop(path))
        with pytest.raises(KeyboardInterrupt):
            make_waypoints(root, replace(RULE, threshold=0.5), "walks")
    assert make_waypoints(root, RULE, "walks").episodes[1].indices.tolist() == (
        load_waypoints(root, "whole")[1].indices.tolist()
    )

    other = write_walks(tmp_path / "other", seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(Waypoints, "save", lambda table, path: stop(path))
        with pytest.raises(KeyboardInterrupt):
            make_waypoints(root, RULE, "moved")
    (other / "meta" / "waypoints").mkdir()
    shutil.move(root / "meta" / "waypoints" / ".moved.partial", other / "meta" / "waypoints")
    make_waypoints(other, RULE, "moved")
    make_waypoints(other, RULE, "fresh")
    folder = other / "meta" / "waypoints"
    assert (folder / "moved.json").read_bytes() == (folder / "fresh.json").read_bytes()


def test_a_changed_dataset_is_noticed(root: Path) -> None:
    make_waypoints(root, RULE, "walks")
    shutil.rmtree(root / "data")
    shutil.copytree(write_walks(root.parent / "other", seed=1) / "data", root / "data")
    with pytest.raises(ZooError, match=r"other states or actions(.|\n)*--overwrite"):
        load_waypoints(root, "walks")


def test_missing_waypoints_are_named_with_those_that_are_there(root: Path) -> None:
    make_waypoints(root, RULE, "coarse")
    with pytest.raises(ZooError, match=r"no waypoints named fine(.|\n)*coarse"):
        load_waypoints(root, "fine")
    with pytest.raises(ZooError, match="wrong name"):
        load_waypoints(root, "../fine")


def test_a_bad_episode_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = list(recorded_episodes(root, RULE))
    broken = episodes[2].state_TS.copy()
    broken[5, 0] = np.nan
    episodes[2] = replace(episodes[2], state_TS=broken)
    monkeypatch.setattr(dataset, "recorded_episodes", lambda root, rule: iter(episodes))
    with pytest.raises(ZooError, match=r"episode 2: observation\.state .* not finite in frame 5"):
        make_waypoints(root, RULE, "walks")


def test_datasets_that_lack_what_the_rule_needs_are_refused(root: Path, tmp_path: Path) -> None:
    cases = {
        "holds no LeRobotDataset": (tmp_path, RULE),
        "no vector column": (root, replace(RULE, state_key="observation.joints")),
        r"dimension 13 of action(.|\n)*7 dimensions": (root, replace(RULE, gripper_dims=(6, 13))),
    }
    for message, (folder, rule) in cases.items():
        with pytest.raises(ZooError, match=message):
            make_waypoints(folder, rule, "walks")
    (root / "data" / "chunk-000" / "file-001.parquet").unlink()
    with pytest.raises(ZooError, match=r"incomplete(.|\n)*3 episodes"):
        make_waypoints(root, RULE, "walks")
    (root / "data" / "chunk-000" / "file-000.parquet").write_bytes(b"PAR1")
    with pytest.raises(ZooError, match=r"file-000\.parquet cannot be read"):
        make_waypoints(root, RULE, "walks")


@pytest.mark.parametrize(
    "indices", [[], [0, 3], [1, 9], [0, 4, 4, 9], [0, 5, 3, 9], [0, 2.5, 9], [[0, 9]], "0-9"]
)
def test_lists_that_fit_no_episode_are_refused(indices: object) -> None:
    with pytest.raises(ZooError, match="episode 7 do not fit its 10 frames"):
        EpisodeWaypoints(7, 10, indices)  # type: ignore[arg-type]


def test_damaged_files_are_refused(root: Path) -> None:
    make_waypoints(root, RULE, "walks")
    path = root / "meta" / "waypoints" / "walks.json"
    content = path.read_text()
    for damaged in (
        content[:-20],
        "[]",
        content.replace('"rule"', '"ruler"'),
        content.replace("frames", "x"),
    ):
        path.write_text(damaged)
        with pytest.raises(ZooError, match=r"walks\.json"):
            Waypoints.load(path)
    path.write_text(content.replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ZooError, match="schema_version 1"):
        Waypoints.load(path)


def test_summary() -> None:
    episodes = (
        EpisodeWaypoints(0, 50, np.array([0, 4, 49])),
        EpisodeWaypoints(1, 1, np.array([0])),
        EpisodeWaypoints(2, 9, np.array([0, 8])),
    )
    found = summarise(Waypoints(RULE, "", "extracted", episodes), limit=32)
    assert (found.waypoints, found.kept_share) == (6, 0.1)
    assert (found.median_duration, found.mean_duration, found.longest_duration) == (8, 19, 45)
    assert (found.over_limit, found.worst_episode) == (1, 0)
    assert "6 (10.0% of the frames)" in found.text()


@pytest.mark.skipif(not (SAMPLE / "data").exists(), reason="the sample dataset is not there")
def test_recorded_libero_episodes(tmp_path: Path) -> None:
    """Both gripper changes of a pick and place are waypoints, and no segment is over the limit."""
    root = tmp_path / "sample"
    for part in ("data", "meta"):
        shutil.copytree(SAMPLE / part, root / part)
    table = make_waypoints(root, PRESETS["libero"], "libero")
    assert len(table) == 10
    assert 0.1 < summarise(table, 32).kept_share < 0.5
    assert summarise(table, 32).over_limit == 0
    for columns in recorded_episodes(root, table.rule):
        flips = np.flatnonzero(np.diff(columns.action_TA[:, 6])) + 1
        assert set(flips) <= set(table[columns.episode_index].indices)
