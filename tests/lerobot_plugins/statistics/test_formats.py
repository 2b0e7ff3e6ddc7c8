"""Every file of statistics comes back as it was written, and as its users read it."""

import json

import numpy as np
import pytest
from feature_stats import stats_of
from lerobot.datasets.io_utils import write_stats

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.statistics_source import read_statistics
from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.formats import FORMATS, format_of, read_statistics_file, write_statistics_file

STATE = "observation.state"
FIELDS = {
    "lerobot": {"min", "max", "mean", "std", "q01", "q10", "q50", "q90", "q99", "count"},
    "openpi": {"mean", "std", "q01", "q99"},
    "flat": {"min", "max", "mean", "std", "q01", "q99"},
    "nested": {"min", "max", "mean", "std", "q01", "q99"},
    "reference": {"min", "max", "mean", "std", "q01", "q10", "q50", "q90", "q99", "count"},
}


def described(episodes: int | None = 3) -> Described:
    generator = np.random.default_rng(0)
    stats = {key: stats_of(generator.normal(size=(50, width))) for key, width in ((STATE, 8), ("action", 7))}
    return Described(stats, "made up", episodes=episodes, frames=50)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_comes_back_as_it_was_written(tmp_path, name):
    path = tmp_path / "file.json"
    write_statistics_file(described(), path, name, "libero")
    found = read_statistics_file(path)
    assert set(found) == {STATE, "action"}
    for key, entry in found.items():
        assert set(entry) == FIELDS[name]
        for field, value in entry.items():
            np.testing.assert_array_equal(value, described().stats[key][field])
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("name", FORMATS)
def test_policies_read_every_format(tmp_path, name):
    path = tmp_path / "file.json"
    write_statistics_file(described(), path, name, "libero")
    found = read_statistics(path, {STATE: 8, "action": 7})
    np.testing.assert_array_equal(found["action"]["q99"], described().stats["action"]["q99"])


def test_lerobots_file_is_byte_for_byte_lerobots(tmp_path):
    write_statistics_file(described(), tmp_path / "ours.json", "lerobot", "")
    write_stats(described().stats, tmp_path)
    assert (tmp_path / "ours.json").read_bytes() == (tmp_path / "meta/stats.json").read_bytes()


def test_flat_and_nested_say_of_how_much_they_are(tmp_path):
    for name in ("flat", "nested"):
        write_statistics_file(described(), tmp_path / f"{name}.json", name, "libero_object")
    flat = json.loads((tmp_path / "flat.json").read_text())
    nested = json.loads((tmp_path / "nested.json").read_text())
    assert (flat["num_transitions"], flat["num_trajectories"]) == (50, 3)
    assert nested == {"libero_object": flat | {"num_samples": 50}}
    assert set(flat) == {"action", "proprio", "num_transitions", "num_trajectories"}


def test_what_nobody_knows_is_not_made_up(tmp_path):
    write_statistics_file(described(episodes=None), tmp_path / "flat.json", "flat", "")
    assert "num_trajectories" not in json.loads((tmp_path / "flat.json").read_text())
    entry = {"action": {"mean": np.zeros(7), "std": np.ones(7)}}
    with pytest.raises(ZooError, match="of how many frames"):
        write_statistics_file(Described(entry, "a norm_stats.json"), tmp_path / "x.json", "flat", "")
    assert not (tmp_path / "x.json").exists()


def test_the_layout_of_the_reference(tmp_path):
    write_statistics_file(described(), tmp_path / "normalization_stats.json", "reference", "")
    content = json.loads((tmp_path / "normalization_stats.json").read_text())
    assert set(content) == {"state", "action"}
    assert len(content["state"]["min"]) == 8
    assert content["action"]["count"] == 50


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("stats.json", "lerobot"),
        ("norm_stats.json", "openpi"),
        ("dataset_statistics.json", "flat"),
        ("normalization_stats.json", "reference"),
    ],
)
def test_a_name_tells_the_format(tmp_path, file, name):
    assert format_of(tmp_path / file) == name


def test_a_name_that_tells_nothing_is_refused(tmp_path):
    with pytest.raises(ZooError, match=r"--format with one of lerobot, openpi, flat, nested, reference"):
        format_of(tmp_path / "numbers.json")


def test_statistics_without_actions_fit_one_format_only(tmp_path):
    lonely = Described({STATE: described().stats[STATE]}, "made up", frames=50)
    for name in FORMATS[1:]:
        with pytest.raises(ZooError, match="action"):
            write_statistics_file(lonely, tmp_path / "x.json", name, "")
    write_statistics_file(lonely, tmp_path / "x.json", "lerobot", "")
