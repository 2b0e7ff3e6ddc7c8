"""Statistics of episodes that were not converted equal those of the dataset made from them."""

import json

import numpy as np
import pytest
from number_faults import lite_arms
from recorded_dataset import RecordingSource, write_recording

from lerobot_plugins.conversion.source import Episode
from lerobot_plugins.conversion.source_statistics import source_statistics
from lerobot_plugins.errors import ZooError


class Undecodable(RecordingSource):
    """Pictures that nobody can decode, and a damaged episode."""

    def read(self, index: int) -> Episode:
        if index == 1:
            raise ZooError("the episode is damaged")
        episode = super().read(index)
        for frames in episode.images.values():
            frames.encoded[:] = [b"no picture"] * len(frames.encoded)
        return episode


def test_they_are_what_a_conversion_writes(tmp_path):
    found, skipped = source_statistics(RecordingSource(lite_arms()), "made up", progress=False)
    root = write_recording(lite_arms(), tmp_path / "set", cameras=())
    stored = json.loads((root / "meta/stats.json").read_text())
    for key, entry in found.stats.items():
        assert {name: value.tolist() for name, value in entry.items()} == stored[key]
    assert (found.episodes, found.frames, skipped) == (3, 240, {})
    assert found.named("action", 3) == "left_arm_joint4.pos"


def test_damaged_episodes_stop_the_work_or_are_skipped():
    source = Undecodable(lite_arms())
    with pytest.raises(
        ZooError, match=r"episode 1 \(episode 1\): the episode is damaged(.|\n)*--on-error skip"
    ):
        source_statistics(source, "made up", progress=False)
    found, skipped = source_statistics(source, "made up", on_error="skip", progress=False)
    recording = lite_arms()
    rest = np.concatenate([recording.episodes[index]["action"] for index in (0, 2)])
    assert found.frames == len(rest)
    assert found.episodes == 2
    assert list(skipped) == [1]
    np.testing.assert_array_equal(found.stats["action"]["max"], rest.max(axis=0))
