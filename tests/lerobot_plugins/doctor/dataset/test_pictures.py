"""A dataset whose files name other files is not followed out of its folder."""

from types import SimpleNamespace

import pytest

from lerobot_plugins.doctor.dataset.pictures import video_path
from lerobot_plugins.errors import ZooError


@pytest.mark.parametrize("template", ["../x.mp4", "/etc/{video_key}", "videos/{video_key}/x.mp4"])
def test_a_video_elsewhere_is_refused(tmp_path, template):
    camera = "../../x"
    row = {f"videos/{camera}/chunk_index": 0, f"videos/{camera}/file_index": 0}
    with pytest.raises(ZooError, match="outside of its folder"):
        video_path(SimpleNamespace(root=tmp_path, info={"video_path": template}), camera, row)
