"""Faults of files and cameras, through everything that reads a dataset from disk."""

import shutil

import numpy as np
import pytest
from file_faults import FAULTS, TOP
from number_faults import FAULTS as NUMBER_FAULTS
from number_faults import Told, lite_arms
from recorded_dataset import SIZE, scene, write_recording
from said import assert_said

from lerobot_plugins.doctor.dataset.examination import examine


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write_recording(lite_arms(), tmp_path_factory.mktemp("clean") / "set")


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_named_and_nothing_else(clean, tmp_path, name):
    root = shutil.copytree(clean, tmp_path / "set")
    fault = FAULTS[name]
    fault.seed(root)
    assert_said(examine(root, fault.robot, progress=False), fault.told)


def test_the_clean_set_is_clean(clean):
    assert_said(examine(clean, progress=False), [])


STILL = scene(np.zeros(2))
PICTURES = {
    "black": lambda camera, episode, frame: np.zeros((SIZE, SIZE, 3), np.uint8) if episode == 1 else None,
    "one colour": lambda camera, episode, frame: (
        np.full((SIZE, SIZE, 3), 90, np.uint8) if episode == 1 else None
    ),
    "frozen": lambda camera, episode, frame: STILL if episode == 1 else None,
}


@pytest.mark.parametrize("images", ["video", "jpeg"])
@pytest.mark.parametrize("fault", PICTURES)
def test_a_dead_camera_is_named_with_its_episode(tmp_path, fault, images):
    root = write_recording(lite_arms(short=True), tmp_path / "set", picture=PICTURES[fault], images=images)
    assert_said(examine(root, progress=False), [Told("cameras", feature=TOP, episode=1)])


def test_an_episode_that_is_too_short_is_named(tmp_path):
    recording = lite_arms().copy()
    recording.episodes[1] = {key: values[:5] for key, values in recording.episodes[1].items()}
    root = write_recording(recording, tmp_path / "set", cameras=())
    assert_said(examine(root, progress=False), [Told("length", feature="length", episode=1)])


def test_the_page_lists_every_fault(checkout):
    page = (checkout / "docs/dataset_doctor.md").read_text()
    listed = {line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")}
    assert {*FAULTS, *NUMBER_FAULTS} <= listed
