"""Grippers of every convention, both ways."""

import pytest
import torch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.grippers import COMMANDS, GripperMap

# Raw commands that a robot of each convention may have recorded.
RAW = {
    "negative_is_open": [-1.0, 1.0],
    "positive_is_open": [-1.0, 1.0],
    "unit": [0.0, 0.25, 1.0],
    "percent": [0.0, 30.0, 100.0],
}


@pytest.mark.parametrize("convention", COMMANDS)
def test_recorded_commands_come_back(convention):
    gripper, raw = GripperMap(6, convention), torch.tensor(RAW[convention])
    unit = gripper.forward(raw)
    assert ((unit >= 0) & (unit <= 1)).all()
    torch.testing.assert_close(gripper.inverse(unit), raw)


def test_open_is_one():
    opened = {"negative_is_open": -1.0, "positive_is_open": 1.0, "unit": 1.0, "percent": 100.0}
    for convention, raw in opened.items():
        assert GripperMap(0, convention).forward(torch.tensor([raw])).item() == 1.0


def test_the_published_commands():
    """What a model's gripper becomes for LIBERO and for CALVIN."""
    unit = torch.tensor([0.0, 0.49, 0.5, 0.51, 1.0, 1.2, -0.1])
    libero = GripperMap(6, "negative_is_open").inverse(unit)
    calvin = GripperMap(6, "positive_is_open").inverse(unit)
    assert libero.tolist() == [1, 1, 0, -1, -1, -1, 1]
    assert calvin.tolist() == [-1, -1, 0, 1, 1, 1, -1]


def test_states_are_open_above_their_threshold():
    gripper = GripperMap(6, "threshold", 0.02)
    assert gripper.forward(torch.tensor([0.0396, 0.02, 0.0007])).tolist() == [1, 0, 0]
    assert gripper.inverse(torch.tensor([1.0, 0.0])).tolist() == [1, 0], "a state is no command"


def test_values_outside_are_clipped():
    assert GripperMap(0, "percent").forward(torch.tensor([-3.0, 130.0])).tolist() == [0, 1]
    assert GripperMap(0, "percent").inverse(torch.tensor([-0.2, 1.2])).tolist() == [0, 100]
    assert GripperMap(0, "unit").forward(torch.tensor([-3.0, 1.3])).tolist() == [0, 1]


def test_json_keeps_it():
    for gripper in (GripperMap(13, "percent"), GripperMap(6, "threshold", 0.02)):
        assert GripperMap.from_dict(gripper.to_dict()) == gripper


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dim": 0, "convention": "up"}, "unknown gripper convention(.|\n)*percent"),
        ({"dim": 0, "convention": "threshold"}, "threshold"),
        ({"dim": 0, "convention": "unit", "threshold": 0.5}, "threshold"),
        ({"dim": -1, "convention": "unit"}, "dimension from 0 on"),
    ],
)
def test_wrong_descriptions_are_refused(values, words):
    with pytest.raises(ZooError, match=words):
        GripperMap(**values)


def test_unknown_fields_are_refused():
    with pytest.raises(ZooError, match="described wrongly"):
        GripperMap.from_dict({"dim": 0, "convention": "unit"})
