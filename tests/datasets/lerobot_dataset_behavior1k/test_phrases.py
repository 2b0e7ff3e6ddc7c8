"""The rules by which annotations become text."""

import json
from pathlib import Path

import pytest

from lerobot_dataset_behavior1k.annotations import Segment, parse_annotation, read_annotation
from lerobot_dataset_behavior1k.phrases import (
    PRIMITIVES,
    SKILLS,
    object_name,
    primitive_phrase,
    skill_phrase,
)
from lerobot_plugins.errors import ZooError

REAL = Path(__file__).resolve().parents[4] / "shared/data/behavior1k"
real_annotations = pytest.mark.skipif(not REAL.exists(), reason="needs the shared annotations")
RADIO, TABLE = "radio_89", "coffee_table_koagbh_0"


def entry(verb, objects=None, duration=None, manipulating=None):
    return {
        "skill_description": verb,
        "object_id": objects,
        "manipulating_object_id": manipulating,
        "frame_duration": duration,
    }


def segments(*entries):
    annotation = parse_annotation({"skill_annotation": list(entries)}, "skill", {})
    return [(segment.start, segment.end, segment.phrase) for segment in annotation.segments]


def test_there_are_34_skills_and_30_primitives():
    assert (len(SKILLS), len(PRIMITIVES)) == (34, 30)


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("radio_89", "radio"),
        ("apple-pie_234_1", "apple pie"),
        ("coffee_table_koagbh_0", "coffee table koagbh"),
        ("Half_Log_176_0", "half log"),
        ("left", ""),
        ("right", ""),
        (["radio_89"], ""),
        ("[radio_89]", ""),
        ("12_3", ""),
        (7, ""),
    ],
)
def test_names_made_from_ids(identifier, name):
    assert object_name(identifier, {}) == name


def test_given_names_come_first():
    names = {TABLE: "coffee table", "left": "left hand"}
    assert skill_phrase(entry(["pick up from"], [[RADIO, TABLE]]), names) == (
        "pick up the radio from the coffee table"
    )
    assert object_name("left", names) == "left hand"


@pytest.mark.parametrize(
    ("verb", "objects", "phrase"),
    [
        (["move to"], [[RADIO]], "move to the radio"),
        ("move to", RADIO, "move to the radio"),
        ([None, "", "move to"], [RADIO], "move to the radio"),
        (["move to"], [[RADIO, TABLE]], "move to the coffee table koagbh"),
        (["pick up from"], [[RADIO, TABLE]], "pick up the radio from the coffee table koagbh"),
        (["pick up from"], [[RADIO]], "pick up the radio from the radio"),
        (["pick up from"], [[RADIO, None, TABLE]], "pick up the radio from the coffee table koagbh"),
        (["place in"], [["can_1", "bin_2"]], "place the can in the bin"),
        (["place on"], [["can_1", "x_2", "bin_2"]], "place the can on the bin"),
        (["place in next to"], [["can_1", "bin_2"]], "place next to the bin"),
        (["place on next to"], [["can_1", "bin_2"]], "place next to the bin"),
        (["place under"], [["can_1", "bed_2"]], "place under the bed"),
        (["pour"], [["jug_1", "cup_2"]], "pour the jug onto the cup"),
        (["pull tray"], [["oven_1"]], "pull out the oven tray"),
        (["push tray"], [["oven_1"]], "push in the oven tray"),
        (["spray"], [["sprayer_1", "tree_2"]], "spray the tree"),
        (["sweep surface"], [["broom_1", "floor_2"]], "sweep the surface of the floor"),
        (["wipe hard"], [["rag_1", "table_2"]], "wipe the table firmly"),
        (["turn on switch"], [[RADIO]], "turn on the radio"),
        (["turn off switch"], [[RADIO]], "turn off the radio"),
        (["press"], [["radio_1", "button_2"]], "press the button"),
        (["hand over"], [[RADIO, "left", "right"]], "hand over the radio"),
        (["open drawer"], [["desk_1"]], "open the desk"),
        (["close lid"], [["pot_1"]], "close the pot"),
        (["open door"], [["fridge_1"]], "open the fridge"),
        # Nothing is known of the object.
        (["open door"], [], "open the door"),
        (["close door"], [[]], "close the door"),
        (["open drawer"], [[]], "open the"),
        (["move to"], [], "move to the"),
        (["pick up from"], None, "pick up the from the"),
        (["hold"], [[None]], "hold the"),
        (["place in"], [["can_1", ["bin_2"]]], "place the can in the can"),
        ([None], [[RADIO]], ""),
        (None, [[RADIO]], ""),
        ([], [[RADIO]], ""),
    ],
)
def test_phrases_of_skills(verb, objects, phrase):
    assert skill_phrase(entry(verb, objects), {}) == phrase


def test_the_object_in_the_hand_stands_in_for_a_missing_one():
    assert skill_phrase(entry(["release"], [], None, [[RADIO]]), {}) == "release the radio"
    assert skill_phrase(entry(["release"], [["can_1"]], None, [RADIO]), {}) == "release the can"


def test_an_unknown_skill_is_refused_with_those_that_are_known():
    with pytest.raises(ZooError, match="'juggle'") as refused:
        skill_phrase(entry(["juggle"], [[RADIO]]), {})
    assert "wipe hard" in str(refused.value)


def test_phrases_of_primitives():
    several = {"primitive_description": ["pick up from", "press"]}
    own = several | {"object_id": [[RADIO, TABLE], ["button_1"]]}
    assert primitive_phrase(own, {}) == "pick up the radio from the coffee table koagbh then press the button"
    shared = several | {"object_id": [[RADIO, TABLE]]}
    assert primitive_phrase(shared, {}) == (
        "pick up the radio from the coffee table koagbh then press the coffee table koagbh"
    )
    assert primitive_phrase({"primitive_description": ["move to"], "object_id": [[RADIO]]}, {}) == (
        "move to the radio"
    )
    assert primitive_phrase({"primitive_description": []}, {}) == ""
    with pytest.raises(ZooError, match="hold"):
        primitive_phrase({"primitive_description": ["hold"]}, {})


def test_a_nested_duration_makes_several_segments():
    assert segments(entry("press", [RADIO], [[20, 30], [0, 10]])) == [
        (0, 10, "press the radio"),
        (20, 30, "press the radio"),
    ]


def test_neighbours_of_one_phrase_are_merged():
    assert segments(
        entry("press", [RADIO], [0, 10]), entry("press", [RADIO], [11, 20]), entry("press", [RADIO], [22, 30])
    ) == [(0, 20, "press the radio"), (22, 30, "press the radio")]
    assert segments(entry("press", [RADIO], [0, 30]), entry("press", [RADIO], [5, 9])) == [
        (0, 30, "press the radio")
    ]
    assert len(segments(entry("press", [RADIO], [0, 10]), entry("hold", [RADIO], [11, 20]))) == 2


def test_durations_that_end_before_they_begin_and_skills_without_name_are_left_out_and_counted():
    annotation = parse_annotation(
        {
            "skill_annotation": [
                entry("press", [RADIO], [[50, 8], [3, 3]]),
                entry([None], [RADIO], [0, 9]),
            ]
        },
        "skill",
        {},
    )
    assert annotation.segments == (Segment(3, 3, "press the radio"),)
    assert (annotation.unnamed, annotation.backwards) == (1, 1)


@pytest.mark.parametrize("duration", [None, [], [1], ["1", "2"]])
def test_an_entry_without_a_skills_name_needs_no_duration(duration):
    entries = [entry([None], [RADIO], duration), entry("press", [RADIO], [0, 9])]
    annotation = parse_annotation({"skill_annotation": entries}, "skill", {})
    assert annotation.segments == (Segment(0, 9, "press the radio"),)
    assert annotation.unnamed == 1


def test_durations_count_the_rows_of_the_table_wherever_the_valid_ones_begin():
    content = {
        "meta_data": {"task_duration": 400, "valid_duration": [5, 400]},
        "skill_annotation": [entry("press", [RADIO], [0, 2])],
    }
    assert parse_annotation(content, "skill", {}).phrases(4) == [*["press the radio"] * 3, ""]


def test_frames_get_the_first_segment_that_reaches_them():
    annotation = parse_annotation(
        {
            "skill_annotation": [
                entry("move to", [RADIO], [2, 5]),
                entry("press", [RADIO], [5, 7]),
                entry("hold", [RADIO], [6, 6]),
                entry("release", [RADIO], [9, 400]),
            ]
        },
        "skill",
        {},
    )
    assert annotation.phrases(11) == [
        *["", ""],
        *["move to the radio"] * 4,
        *["press the radio"] * 2,
        "",
        *["release the radio"] * 2,
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no list 'skill_annotation'"),
        ({"skill_annotation": {}}, "no list 'skill_annotation'"),
        ({"skill_annotation": [3]}, "skill_annotation 0: it is no object"),
        ({"skill_annotation": [entry("press", [RADIO], None)]}, "'frame_duration' is malformed"),
        ({"skill_annotation": [entry("press", [RADIO], [1])]}, "'frame_duration' is malformed"),
        ({"skill_annotation": [entry("press", [RADIO], [[1, 2], [3]])]}, "'frame_duration' is malformed"),
        ({"skill_annotation": [entry("press", [RADIO], ["1", "2"])]}, "'frame_duration' is malformed"),
    ],
)
def test_malformed_annotations_are_refused(content, message):
    with pytest.raises(ZooError, match=message):
        parse_annotation(content, "skill", {})


@real_annotations
def test_the_annotation_of_a_real_episode():
    annotation = read_annotation(REAL / "annotation_turning_on_radio_docs.json", "skill", {})
    assert annotation.segments == (
        Segment(55, 300, "move to the radio"),
        Segment(301, 641, "pick up the radio from the coffee table koagbh"),
        Segment(642, 900, "press the radio"),
        Segment(900, 1245, "place the radio on the coffee table koagbh"),
    )
    texts = annotation.phrases(1776)
    assert texts[:55] == [""] * 55
    assert (texts[55], texts[300], texts[301]) == (
        "move to the radio",
        "move to the radio",
        "pick up the radio from the coffee table koagbh",
    )
    assert (texts[900], texts[901], texts[1245], texts[1246]) == (
        "press the radio",
        "place the radio on the coffee table koagbh",
        "place the radio on the coffee table koagbh",
        "",
    )


@real_annotations
def test_the_full_form_of_an_annotation():
    path = REAL / "annotation_schema_full_head.json"
    assert [segment.start for segment in read_annotation(path, "skill", {}).segments] == [0, 265]
    primitives = read_annotation(path, "primitive", {TABLE: "coffee table"})
    # Its primitive names no objects.
    assert primitives.segments == (Segment(0, 1162, "pick up the from the"),)
    assert json.loads(path.read_text())["primitive_annotation"][0].get("object_id") is None


@real_annotations
def test_a_real_annotation_without_primitives_names_the_ways_out():
    with pytest.raises(ZooError, match="no list 'primitive_annotation'") as refused:
        read_annotation(REAL / "annotation_turning_on_radio_docs.json", "primitive", {})
    assert "--prompts task --subtasks none" in str(refused.value)
