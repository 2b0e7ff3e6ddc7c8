"""Recognising a dataset's layout: names first, widths second, never a guess."""

import pytest
from robot_tables import state_and_action, vector

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.fourier_gr2 import FOURIER_GR2
from lerobot_plugins.contracts.joints import bare
from lerobot_plugins.errors import ZooError


def named(layout, rename=lambda name: name):
    """Features of a dataset whose columns have the layout's names, renamed."""
    features = state_and_action(vector(1), vector(1))
    for kind in ("state", "action"):
        for key, columns in layout.features(kind).items():
            features[key] = vector(len(columns), [rename(column.name) for column in columns])
    return features


# Of the arms alone, grippers in mm and in units have the same names: see below.
RECOGNISED = [
    (robot, layout)
    for robot in catalog.robot_types()
    for layout in catalog.layouts(robot).values()
    if not layout.ask and layout.name not in ("arms_14", "arms_16")
]


@pytest.mark.parametrize(
    ("robot", "layout"), RECOGNISED, ids=[f"{r} {layout.name}" for r, layout in RECOGNISED]
)
def test_every_layout_is_recognised_by_its_names(robot, layout):
    assert catalog.recognise(named(layout), robot) is layout


@pytest.mark.parametrize("name", ["v1_37", "v2_35", "qnexo_37"])
@pytest.mark.parametrize("rename", [lambda name: name, bare], ids=["suffixed", "bare"])
def test_a_gr2_dataset_is_recognised_in_either_form(name, rename):
    features = named(catalog.layout("fourier_gr2", name), rename)
    assert catalog.recognise(features).name == name
    assert catalog.recognise(features, "fourier_gr2").name == name


@pytest.mark.parametrize(
    ("widths", "name"), [((45, 37), "v1_37"), ((45, 35), "v2_35"), ((33, 37), "qnexo_37")]
)
@pytest.mark.parametrize("names", [None, ["state"], "numbered"])
def test_without_names_the_widths_decide(widths, name, names):
    columns = [[f"motor_{i}" for i in range(width)] if names == "numbered" else names for width in widths]
    features = state_and_action(vector(widths[0], columns[0]), vector(widths[1], columns[1]))
    assert catalog.recognise(features).name == name


def test_names_come_before_widths():
    """Swapped wrists: as wide as v1_37, and none of the known orders."""
    names = FOURIER_GR2.action_names
    names = [*names[:5], names[6], names[5], *names[7:]]
    features = state_and_action(vector(45, FOURIER_GR2.state_names), vector(37, names))

    found = catalog.recognise(features, "fourier_gr2")

    assert found.name == "by_name"
    assert [column.signal for column in found.action] == names


def test_names_in_a_dict_or_in_a_list_of_a_list():
    state, action = FOURIER_GR2.state_names, FOURIER_GR2.action_names
    features = state_and_action(vector(45, {"motors": state}), vector(37, [action]))
    assert catalog.recognise(features).name == "v1_37"


@pytest.mark.parametrize(
    "names",
    [
        ["x", "y", "z", "axis_angle1", "axis_angle2", "axis_angle3", "gripper", "gripper"],
        ["x", "y", "z", "axis_angle1", "axis_angle2", "axis_angle3", "left_finger", "right_finger"],
        ["eef_x", "eef_y", "eef_z", "eef_ax", "eef_ay", "eef_az", "gripper_qpos_0", "gripper_qpos_1"],
    ],
)
@pytest.mark.parametrize("turn", [["roll", "pitch", "yaw"], ["axis_angle1", "axis_angle2", "axis_angle3"]])
def test_libero_under_the_names_of_several_sets(names, turn):
    action = ["x", "y", "z", *turn, "gripper"]
    features = state_and_action(vector(8, {"motors": names}), vector(7, {"motors": action}))
    assert catalog.recognise(features).name == "raw"


def test_seven_numbers_without_names_are_any_arm():
    features = state_and_action(vector(8), vector(7))
    with pytest.raises(ZooError, match="no known layout"):
        catalog.recognise(features)
    assert catalog.recognise(features, "libero_franka").name == "raw"


def test_units_of_grippers_are_not_guessed():
    """The same names, 0 to 100 or 0 to 1: the message lists both, the suffix tells them apart."""
    arms = catalog.layout("galaxea_r1_lite", "arms_14")
    with pytest.raises(ZooError, match=r"arms_14 \(14/14\), galaxea_r1_lite arms_14_unit \(14/14\)"):
        catalog.recognise(named(arms, bare), "galaxea_r1_lite")
    with_suffix = named(catalog.layout("galaxea_r1_lite", "arms_14_unit"))
    assert catalog.recognise(with_suffix, "galaxea_r1_lite").name == "arms_14_unit"


def test_bare_grippers_in_an_order_of_their_own_are_not_guessed_either():
    names = [bare(name) for name in reversed(catalog.contract("galaxea_r1_pro").action_names)]
    features = state_and_action(vector(23, names), vector(23, names))
    with pytest.raises(ZooError, match="no known layout"):
        catalog.recognise(features, "galaxea_r1_pro")


def test_behavior1k_is_the_simulators_unless_the_real_robot_is_meant():
    features = named(catalog.layout("r1_pro", "state_23"))
    assert catalog.recognise(features).robot_type == "r1_pro"
    assert catalog.recognise(features, "galaxea_r1_pro").name == "behavior1k_23"


@pytest.mark.parametrize("robot", [None, "fourier_gr2"])
def test_an_unknown_dataset_is_refused_with_the_candidates(robot):
    features = state_and_action(vector(2, ["shoulder", "elbow"]), vector(2, ["shoulder", "elbow"]))
    with pytest.raises(ZooError, match=r"(?s)observation\.state of 2 named shoulder, elbow.*v1_37 \(45/37\)"):
        catalog.recognise(features, robot)
    with pytest.raises(ZooError, match="no action"):
        catalog.recognise({"observation.state": vector(45)}, robot)


def test_unknown_robots_and_layouts_are_refused():
    with pytest.raises(ZooError, match="galaxea_r1_lite"):
        catalog.contract("optimus")
    with pytest.raises(ZooError, match="v2_35"):
        catalog.layout("fourier_gr2", "v3")
    assert catalog.layout("fourier_gr2", "v1_37_sdk_hands").ask
