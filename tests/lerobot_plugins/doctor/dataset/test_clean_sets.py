"""No problem is told of clean recordings: known robots, foreign ones, other habits of recording."""

import pytest
from clean_sets import IN_MEMORY, ON_DISK
from recorded_dataset import write_recording
from said import assert_said

from lerobot_plugins.doctor.dataset.examination import examine, examine_numbers


@pytest.mark.parametrize("name", IN_MEMORY)
def test_a_clean_recording_has_no_problem(name):
    recording = IN_MEMORY[name](seed=1)
    assert_said(examine_numbers(recording.description(), recording.data()), [])


@pytest.mark.parametrize("name", ON_DISK)
def test_a_clean_dataset_has_no_problem(name, tmp_path):
    recording = IN_MEMORY[name](seed=2)
    robot, layout = recording.robot_type if recording.layout else None, recording.layout
    root = write_recording(recording, tmp_path / "set", images=ON_DISK[name])
    assert_said(examine(root, robot, layout.name if layout else None, progress=False), [])


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_MEMORY)
def test_forty_more_of_each(name):
    for seed in range(2, 42):
        recording = IN_MEMORY[name](seed=seed)
        assert_said(examine_numbers(recording.description(), recording.data()), [])
