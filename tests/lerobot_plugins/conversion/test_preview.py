import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rlds_samples import FatalSource, episodes, libero_source, tree

from lerobot_plugins.conversion.preview import preview
from lerobot_plugins.conversion.source import Episode, Frames
from lerobot_plugins.errors import ZooError


class OddSource(FatalSource):
    """A source with an action dimension that never changes, a white camera, and an episode without a task."""

    def read(self, index: int) -> Episode:
        read = self.inner.read(index)
        actions = np.array(read.columns["action"])
        actions[:, 3] = 0.5
        tasks = [""] * len(read.tasks) if index == 2 else read.tasks
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), "white").save(buffer, "PNG")
        images = {**read.images, "observation.images.image2": Frames([buffer.getvalue()] * len(tasks))}
        return Episode({**read.columns, "action": actions}, images, tasks)


class DamagedSource(FatalSource):
    """A source whose second episode is damaged."""

    def read(self, index: int) -> Episode:
        if index == 1:
            raise ZooError("the data are damaged")
        return self.inner.read(index)


@pytest.mark.parametrize("images", ["video", "jpeg"])
def test_the_report_says_what_would_be_made(tmp_path: Path, images: str) -> None:
    source = OddSource(libero_source(tmp_path))
    before = tree(tmp_path)
    report = preview(source, images=images, on_error="stop")  # type: ignore[arg-type]
    assert tree(tmp_path) == before
    assert report.skipped == {}
    for line in (
        "episodes    3, of 3 to 9 frames",
        "frames      17, 20 a second: 1 s",
        "robot type  franka",
        "tasks       3",
        "    1 episodes: (empty text)",
        "observation.state  float32 (8,)",
        "    drx              CONSTANT 0.5",
        "observation.images.image  64x64 pixels",
        "observation.images.image2  64x64 pixels  BLANK: every pixel is (255, 255, 255)",
    ):
        assert line in report.text.splitlines()
    actions = np.concatenate([episode["steps"]["action"] for episode in episodes()])
    assert f"    dx               {actions[:, 0].min():g} to {actions[:, 0].max():g}" in report.text


def test_damaged_episodes_stop_or_are_listed(tmp_path: Path) -> None:
    source = DamagedSource(libero_source(tmp_path))
    with pytest.raises(ZooError, match=r"episode 1 \(sample-train"):
        preview(source, images="jpeg", on_error="stop")
    report = preview(source, images="jpeg", on_error="skip")
    assert list(report.skipped) == [1]
    assert "would skip episode 1" in report.text
    assert "episodes    2, of 3 to 5 frames" in report.text
