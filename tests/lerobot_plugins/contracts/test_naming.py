"""Columns' names with and without suffixes."""

import json

import pytest
from robot_tables import state_and_action, vector

from lerobot_plugins.contracts.catalog import layout, recognise
from lerobot_plugins.contracts.fourier_gr2 import FOURIER_GR2
from lerobot_plugins.contracts.naming import rename_columns, with_suffixes, without_suffixes
from lerobot_plugins.errors import ZooError

FEATURES = state_and_action(vector(45, FOURIER_GR2.state_names), vector(37, FOURIER_GR2.action_names))


def test_taken_away_and_put_back():
    bare = without_suffixes(FEATURES)
    assert bare["action"]["names"][36] == "base_base_yaw"
    assert bare["observation.images.front"] == FEATURES["observation.images.front"]
    assert with_suffixes(bare, recognise(bare)) == FEATURES


def test_a_dataset_on_disk_is_renamed_whole(tmp_path):
    path = tmp_path / "meta" / "info.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"fps": 30, "features": FEATURES}))

    rename_columns(tmp_path, None)
    info = json.loads(path.read_text())
    assert info == {"fps": 30, "features": without_suffixes(FEATURES)}

    rename_columns(tmp_path, recognise(info["features"]))
    assert json.loads(path.read_text())["features"] == FEATURES
    assert [file.name for file in path.parent.iterdir()] == ["info.json"]


def test_nothing_is_renamed_that_does_not_fit(tmp_path):
    with pytest.raises(ZooError, match=r"(?s)action does not have layout v2_35.*37"):
        with_suffixes(FEATURES, layout("fourier_gr2", "v2_35"))
    doubled = {"observation.state": vector(2, ["arm_joint1.pos", "arm_joint1.vel"])}
    with pytest.raises(ZooError, match="arm_joint1"):
        without_suffixes(doubled)
    with pytest.raises(ZooError, match=r"info\.json"):
        rename_columns(tmp_path, None)
