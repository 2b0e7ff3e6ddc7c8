"""Reading statistics from a file."""

import pytest

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.statistics_source import read_statistics


@pytest.mark.parametrize("content", [None, "{broken", "[1, 2]", '{"action": {"min": "x"}}'])
def test_an_unreadable_file_is_refused_by_its_path(tmp_path, content):
    path = tmp_path / "stats.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ZooError, match=r"cannot read statistics from .*stats\.json"):
        read_statistics(path)
