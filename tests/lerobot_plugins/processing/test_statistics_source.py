"""Reading statistics from a file."""

import json

import pytest

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.statistics_source import read_statistics


@pytest.mark.parametrize("content", [None, "{broken", "[1, 2]", '{"action": {"min": "x"}}'])
def test_an_unreadable_file_is_refused_by_its_path(tmp_path, content):
    path = tmp_path / "stats.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ZooError, match=r"cannot read statistics from .*stats\.json"):
        read_statistics(path, {})


@pytest.mark.parametrize("width", [2, 4])
def test_a_file_of_another_width_is_refused_with_both(tmp_path, width):
    path = tmp_path / "stats.json"
    path.write_text(json.dumps({"action": {"min": [0, 0, 0], "max": [1, 1, 1], "count": [9]}}))
    assert read_statistics(path, {"action": 3})["action"]["count"] == 9
    with pytest.raises(ZooError, match=rf"action in .*stats\.json(.|\n)*3 dim(.|\n)*{width} dim"):
        read_statistics(path, {"action": width})
