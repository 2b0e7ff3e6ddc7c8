"""openpi's norm_stats.json, read, cut to the feature's width, and written."""

import json
from pathlib import Path

import numpy as np
import pytest
from openpi_tree import norm_stats

from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.openpi import fit_width, read_norm_stats, write_norm_stats


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "norm_stats.json"
    path.write_text(json.dumps(norm_stats()))
    return path


def test_state_and_actions_under_the_keys_of_lerobot(file):
    stats = read_norm_stats(file)
    content = norm_stats()["norm_stats"]
    assert set(stats) == {"observation.state", "action"}
    assert set(stats["action"]) == {"mean", "std", "q01", "q99"}
    np.testing.assert_array_equal(stats["action"]["q99"], content["actions"]["q99"])
    np.testing.assert_array_equal(stats["observation.state"]["std"], content["state"]["std"])


def test_quantiles_are_optional_and_may_be_null(file):
    content = norm_stats()
    del content["norm_stats"]["state"]["q01"]
    content["norm_stats"]["state"]["q99"] = None
    file.write_text(json.dumps(content))
    assert set(read_norm_stats(file)["observation.state"]) == {"mean", "std"}


@pytest.mark.parametrize("width", [23, 32])
def test_padding_is_cut_to_the_width_of_the_feature(file, width):
    stats = read_norm_stats(file)["action"]
    fitted = fit_width(stats, "action", width, file)
    assert {name: len(value) for name, value in fitted.items()} == dict.fromkeys(stats, width)
    np.testing.assert_array_equal(fitted["mean"], stats["mean"][:width])


def test_too_few_dimensions_name_both_widths_and_the_file(file):
    with pytest.raises(ZooError, match=rf"(?s)action in {file}.*got: +32 dim.*expected: +40 dim"):
        fit_width(read_norm_stats(file)["action"], "action", 40, file)


def test_what_is_cut_must_be_zero(file):
    with pytest.raises(ZooError, match=r"(?s)32 dimensions, zero in all statistics beyond 23.*22 dim"):
        fit_width(read_norm_stats(file)["action"], "action", 22, file)


def test_padding_that_starts_inside_the_feature_is_another_robots(file):
    """Otherwise every joint beyond it would count as one that never moves."""
    with pytest.raises(ZooError, match=rf"(?s)action in {file}.*zero in all statistics beyond 23.*24 dim"):
        fit_width(read_norm_stats(file)["action"], "action", 24, file)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "nothing"),
        ("many", "many"),
        ([[1.0]], "1.0"),
        ([1.0, float("nan")], "nan"),
        ([1.0, None], "None"),
    ],
)
def test_a_bad_field_is_named_with_its_file(file, value, found):
    content = norm_stats()
    content["norm_stats"]["actions"]["std"] = value
    file.write_text(json.dumps(content))
    with pytest.raises(ZooError, match=rf"(?s)actions\.std in {file}.*{found}"):
        read_norm_stats(file)


def test_fields_of_several_widths_are_refused(file):
    content = norm_stats()
    content["norm_stats"]["state"]["q01"] = [0.0] * 8
    file.write_text(json.dumps(content))
    with pytest.raises(ZooError, match=r"(?s)state in .*several widths.*'q01': 8"):
        read_norm_stats(file)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"norm_stats": {}}', "[]", '{"norm_stats": {"state": {}}}', '{"norm_stats": 3}']
)
def test_another_file_is_refused(file, text):
    file.write_text(text)
    with pytest.raises(ZooError, match=f"cannot read openpi's statistics from {file}"):
        read_norm_stats(file)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(ZooError, match="FileNotFoundError"):
        read_norm_stats(tmp_path / "norm_stats.json")


def test_written_statistics_come_back(file, tmp_path):
    stats = read_norm_stats(file)
    write_norm_stats(stats, tmp_path / "assets/robot/norm_stats.json")
    again = read_norm_stats(tmp_path / "assets/robot/norm_stats.json")
    for key, entry in stats.items():
        for name, value in entry.items():
            np.testing.assert_array_equal(again[key][name], value)
    assert [path.name for path in (tmp_path / "assets/robot").iterdir()] == ["norm_stats.json"]


def test_statistics_without_a_mean_are_not_written(tmp_path):
    with pytest.raises(ZooError, match=r"need std of observation\.state"):
        write_norm_stats({"observation.state": {"mean": np.zeros(2)}}, tmp_path / "norm_stats.json")
    with pytest.raises(ZooError, match=r"need mean, std of action"):
        write_norm_stats({}, tmp_path / "norm_stats.json")


def test_a_policy_without_state_has_the_statistics_of_its_actions_alone(tmp_path):
    path = tmp_path / "norm_stats.json"
    write_norm_stats({"action": {"mean": np.zeros(2), "std": np.ones(2)}}, path)
    assert set(read_norm_stats(path)) == {"action"}
