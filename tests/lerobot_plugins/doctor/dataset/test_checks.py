"""What single checks do where a seeded fault would not show it."""

from itertools import combinations

import numpy as np
import pytest
from number_faults import FINGERS, foreign, gr2, lite, lite_arms
from robot_recordings import Recording, record

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.layout import ACTION, STATE
from lerobot_plugins.doctor.dataset.dimensions import describe, flat_names, mirrored
from lerobot_plugins.doctor.dataset.examination import examine_numbers
from lerobot_plugins.doctor.dataset.findings import problem
from lerobot_plugins.doctor.dataset.finite import without_gaps
from lerobot_plugins.doctor.dataset.quaternions import quaternion_groups
from lerobot_plugins.doctor.dataset.ranges import KEPT, Ranges
from lerobot_plugins.doctor.dataset.recorded import EpisodeData
from lerobot_plugins.doctor.finding import OK, PROBLEM


def told(recording: Recording, name: str) -> list:
    findings = examine_numbers(recording.description(), recording.data())
    return [finding for finding in findings if finding.name == name and finding.state != OK]


@pytest.mark.parametrize("feature", [STATE, ACTION])
@pytest.mark.parametrize("pair", combinations(FINGERS, 2))
def test_any_two_fingers_exchanged_are_named(feature, pair):
    (finding,) = told(gr2().reorder(feature, dict(zip(pair, pair[::-1], strict=True))), "order")
    assert set(finding.columns) == set(pair)


def test_three_columns_in_a_circle_are_one_finding():
    order = dict(zip(FINGERS[:3], [FINGERS[1], FINGERS[2], FINGERS[0]], strict=True))
    (finding,) = told(gr2().reorder(ACTION, order), "order")
    assert set(finding.columns) == set(FINGERS[:3])


def test_the_order_of_a_foreign_robot_is_checked_by_its_names():
    pair = {"shoulder_lift.pos": "elbow_flex.pos", "elbow_flex.pos": "shoulder_lift.pos"}
    (finding,) = told(foreign().reorder(STATE, pair), "order")
    assert finding.state == PROBLEM
    assert set(finding.columns) == set(pair)


def test_mixed_gripper_units_are_found_where_names_do_not_tell_the_layout():
    recording = record(catalog.layout("galaxea_r1_lite", "arms_14"), names="full")
    mixed = recording.change(STATE, ["left_gripper", "right_gripper"], lambda values: values / 100)
    assert {finding.columns for finding in told(mixed, "grippers")} == {("left_gripper",), ("right_gripper",)}


def test_a_state_that_starts_elsewhere_is_a_jump():
    def elsewhere(values_TD):
        values_TD[0] = values_TD[1] + 1.0
        return values_TD

    (finding,) = told(lite().change(STATE, ["right_arm_joint1.pos"], elsewhere, [0]), "jumps")
    assert (finding.episode, finding.frame) == (0, 1)


def test_json_holds_no_number_that_json_lacks():
    finding = problem("finite", "text", "do", value=float("inf"), limit=float("nan"))
    assert (finding.to_dict()["value"], finding.to_dict()["limit"]) == ("inf", "nan")


def test_fast_motion_is_no_jump():
    """Half a turn in a fifth of a second, as fast frames around fast frames."""
    values_T = np.concatenate([np.zeros(40), 1.5 * np.sin(np.linspace(0, np.pi / 2, 7)), np.full(43, 1.5)])

    def fast(columns):
        return (values_T[: len(columns), None] + 0.001 * np.arange(len(columns))[:, None]).astype(np.float32)

    recording = gr2()
    for feature in (STATE, ACTION):
        recording = recording.change(feature, ["left_shoulder_pitch_joint"], fast, [0])
    assert told(recording, "jumps") == []


def test_values_a_little_beyond_a_limit_are_a_warning():
    limit = 0.61087
    beyond = gr2().change(
        STATE, ["left_wrist_pitch_joint"], lambda values: values - values.max() + limit + 0.06, [0]
    )
    (finding,) = told(beyond, "limits")
    assert finding.state == "warning"
    assert finding.columns == ("left_wrist_pitch_joint",)


def test_unknown_robots_are_said_to_be_checked_in_part():
    from lerobot_plugins.doctor.dataset.known_robot import know_robot

    recording = foreign()
    known = know_robot(
        {"features": recording.features, "robot_type": "so101_follower"}, recording.episodes[0]
    )
    assert known.contract is None
    assert "limits, units and grippers were not checked" in known.findings[0].detail
    assert known.findings[0].state == OK


def test_a_stated_robot_whose_columns_do_not_fit_is_a_problem():
    from lerobot_plugins.doctor.dataset.known_robot import know_robot

    info = {"features": lite_arms().features, "robot_type": "fourier_gr2"}
    (finding,) = know_robot(info, {}).findings
    assert (finding.name, finding.state) == ("layout", PROBLEM)


def test_gaps_hold_the_last_number():
    values = np.array([[np.nan, 1], [2, np.inf], [np.nan, 3]], dtype=np.float32)
    held = without_gaps(EpisodeData(0, {"x": values})).columns["x"]
    np.testing.assert_array_equal(held, [[2, 1], [2, 1], [2, 3]])


def test_ranges_keep_evenly_spread_frames_however_long():
    description = describe({STATE: {"dtype": "float32", "shape": (1,), "names": ["x"]}}, 30)
    ranges = Ranges(description.of_state())
    for i in range(30):
        ranges.see(EpisodeData(i, {STATE: np.arange(i * 1000, (i + 1) * 1000, dtype=np.float32)[:, None]}))
    kept = ranges.kept_KD[:, 0]
    assert KEPT / 2 < len(kept) <= KEPT
    assert set(np.diff(kept)) == {8.0}


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("left_wrist_yaw_joint", "right_wrist_yaw_joint"),
        ("kRightElbow", "kLeftElbow"),
        ("L_index_proximal_joint", "R_index_proximal_joint"),
        ("head_yaw_joint", "head_yaw_joint"),
        ("lift.vel", "lift.vel"),
    ],
)
def test_names_of_the_other_side(name, other):
    assert mirrored(name) == other


def test_names_are_found_however_they_are_nested():
    assert (
        flat_names({"motors": ["a", "b"]}) == flat_names([["a", "b"]]) == flat_names(["a", "b"]) == ["a", "b"]
    )
    assert flat_names(None) == []


def test_quaternions_are_found_by_name():
    names = ["eef_x", "eef_y", "eef_z", "eef_qw", "eef_qx", "eef_qy", "eef_qz", "gripper"]
    description = describe({STATE: {"dtype": "float32", "shape": (8,), "names": names}}, 30)
    (group,) = quaternion_groups(description.of_state())
    assert [d.name for d in group] == ["eef_qx", "eef_qy", "eef_qz", "eef_qw"]
