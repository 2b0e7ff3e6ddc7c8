import pytest
from replay_data import recorded_actions, write_replay_dataset
from replay_episodes import skip_figures

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
    skip_figures(monkeypatch)
