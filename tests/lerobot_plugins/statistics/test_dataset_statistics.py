"""`dataset_statistics.json` in both layouts."""

import json
from pathlib import Path

import pytest

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.statistics_source import read_statistics

STATE = "observation.state"


def entry(action: int = 7, proprio: int = 8) -> dict:
    def one(width: int) -> dict:
        return {
            field: [float(i)] * width for i, field in enumerate(("min", "q01", "mean", "std", "q99", "max"))
        }

    return {"action": one(action) | {"mask": [True] * action}, "proprio": one(proprio), "num_transitions": 9}


def read(folder: Path, content: object, action: int = 7, state: int = 8) -> dict:
    path = folder / "dataset_statistics.json"
    path.write_text(json.dumps(content))
    return read_statistics(path, {"action": action, STATE: state})


@pytest.mark.parametrize("nested", [False, True])
def test_both_layouts_are_read(tmp_path, nested):
    content = {"__total__": {"action": {}}, "libero_object": entry()} if nested else entry()
    found = read(tmp_path, content)
    assert set(found) == {"action", STATE}
    assert found["action"]["q99"].tolist() == [4.0] * 7
    assert found[STATE]["q01"].tolist() == [1.0] * 8
    assert "mask" not in found["action"]


@pytest.mark.parametrize("width", [9, 14, 15])
def test_another_robots_actions_are_refused(tmp_path, width):
    """Such files were seen beside LIBERO data; the error came deep inside NumPy."""
    with pytest.raises(ZooError, match=rf"action in .*statistics\.json(.|\n)*{width} dim(.|\n)*7 dim"):
        read(tmp_path, entry(action=width))


def test_several_datasets_in_one_file_are_refused(tmp_path):
    with pytest.raises(ZooError, match=r"several datasets(.|\n)*calvin, libero"):
        read(tmp_path, {"libero": entry(), "calvin": entry()})


def test_damage_is_refused_by_the_files_path(tmp_path):
    broken = entry() | {"proprio": {"mean": ["x"]}}
    with pytest.raises(ZooError, match=r"cannot read statistics from .*dataset_statistics\.json"):
        read(tmp_path, broken)
