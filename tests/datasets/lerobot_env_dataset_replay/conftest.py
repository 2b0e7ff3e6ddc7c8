import pytest
from replay_data import recorded_actions, write_replay_dataset

from lerobot_env_dataset_replay import recorder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three episodes of 7, 4 and 9 frames with image storage."""
    folder = tmp_path_factory.mktemp("data") / "replay"
    write_replay_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def recorded(root):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return recorded_actions(LeRobotDataset("local/replay", root=root, video_backend="pyav"))


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """Each test begins as a process that has evaluated nothing yet."""
    monkeypatch.setattr(recorder, "_used", set())
    recorder._default_folder.cache_clear()


@pytest.fixture
def without_figures(monkeypatch):
    """Metrics and predictions only: figures take a second and have tests of their own."""
    monkeypatch.setattr("lerobot_plugins.evaluation.report.report_page", lambda *_: "")
    monkeypatch.setattr("lerobot_plugins.evaluation.figures.overview", lambda *_: None)
    monkeypatch.setattr("lerobot_plugins.evaluation.figures.to_png", lambda _: b"")
