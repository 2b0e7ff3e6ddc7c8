"""Differences between statistics, each with its number's name."""

import numpy as np
import pytest
from feature_stats import stats_of

from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.comparison import compare
from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.tables import comparison_table

NAMES = {"action": ["x.pos", "gripper.pos"]}


def described(origin: str = "here", **changes) -> Described:
    stats = {"action": stats_of(np.random.default_rng(0).uniform(-1, 1, (100, 2)))}
    stats["action"] |= {name: np.asarray(value) for name, value in changes.items()}
    return Described(stats, origin, NAMES)


def test_equal_statistics_agree():
    found = compare(described(), described("there"), 0.0)
    assert found.agrees
    assert found.compared == 2 * 9
    assert comparison_table(found) == "0 of 18 statistics differ"


def test_a_difference_is_told_with_the_numbers_name():
    exact = described().stats["action"]
    moved = described("there", q99=exact["q99"] - [0.0, 0.5], q90=exact["q90"] - [0.0, 0.1])
    found = compare(described(), moved, 1e-3)
    assert not found.agrees
    assert [(d.name, d.statistic) for d in found.differences] == [
        ("gripper.pos", "q90"),
        ("gripper.pos", "q99"),
    ]
    share = 0.5 / (exact["max"][1] - exact["min"][1])
    assert found.differences[1].share == pytest.approx(share)
    (line,) = [line for line in comparison_table(found).splitlines() if line.startswith("action")]
    assert line.split()[1:3] == ["gripper.pos", "q99"]
    assert line.endswith("q90")


def test_the_tolerance_is_a_part_of_the_range():
    one = described()
    moved = described("there", mean=one.stats["action"]["mean"] + 0.02)
    assert not compare(one, moved, 0.005).agrees
    assert compare(one, moved, 0.02).agrees


def test_padding_agrees_and_another_width_does_not():
    entry = described().stats["action"]
    padded = {name: np.pad(value, (0, 30)) for name, value in entry.items() if name != "count"}
    assert compare(described(), Described({"action": padded}, "openpi"), 0.0).agrees
    wider = padded | {"mean": np.ones(32)}
    found = compare(described(), Described({"action": wider}, "openpi"), 0.0)
    assert found.widths == ["action has 2 numbers in here, 32 in openpi"]
    assert not found.agrees


def test_what_is_not_a_number_differs():
    assert not compare(described(), described("there", mean=[0.0, np.nan]), 1e9).agrees


def test_what_only_one_has_and_other_counts_are_notes():
    more = described("there", count=[50])
    more.stats["timestamp"] = more.stats["action"]
    del more.stats["action"]["q10"]
    found = compare(described(), more, 0.0)
    assert found.agrees
    assert found.notes == [
        "only in there: timestamp",
        "action: only one has q10",
        "action: of 100 frames and of 50",
    ]


def test_nothing_in_common_is_refused():
    with pytest.raises(ZooError, match=r"no feature in common(.|\n)*action in here; state in there"):
        compare(described(), Described({"state": described().stats["action"]}, "there"), 0.0)
