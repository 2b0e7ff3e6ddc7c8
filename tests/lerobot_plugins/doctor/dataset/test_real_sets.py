"""Published and recorded sets: none has a problem, and what is exchanged in a real recording is found."""

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from number_faults import BOTH, Told
from robot_recordings import Recording
from said import assert_said

from lerobot_plugins.contracts.layout import ACTION, STATE
from lerobot_plugins.doctor.dataset.examination import examine, examine_numbers
from lerobot_plugins.doctor.dataset.recorded import matrix
from lerobot_plugins.doctor.finding import OK

SHARED = Path(__file__).resolve().parents[5] / "shared/data"
HUMANOID = SHARED / "lerobot/g1_v21"
ROWS = SHARED / "parquet_vla/episode_000000.parquet"

needs_humanoid = pytest.mark.skipif(not HUMANOID.is_dir(), reason="the recording is not beside the checkout")


def columns(path: Path, names: dict[str, str]) -> dict[str, np.ndarray]:
    table = pq.read_table(path, columns=list(names.values()))
    return {feature: matrix(table[name].combine_chunks()) for feature, name in names.items()}


def recording(
    paths: list[Path], names: dict[str, str], columns_named: list[str] | None, fps: int
) -> Recording:
    episodes = [columns(path, names) for path in paths]
    features = {
        feature: {"dtype": "float32", "shape": (values.shape[1],), "names": columns_named}
        for feature, values in episodes[0].items()
    }
    return Recording(features, episodes, fps)


@pytest.fixture(scope="module")
def humanoid() -> Recording:
    """A Unitree G1 with Inspire hands, teleoperated: the right arm works, the left one rests."""
    import json

    names = json.loads((HUMANOID / "meta/info.json").read_text())["features"][ACTION]["names"][0]
    paths = sorted((HUMANOID / "data").rglob("*.parquet"))
    return recording(paths, {STATE: STATE, ACTION: ACTION}, names, 30)


def test_the_sample_set_of_this_project(checkout):
    findings = examine(checkout / "examples/sample_data/lerobot/libero_sample", progress=False)
    assert_said(findings, [])
    assert any(finding.name == "layout" and "libero_franka, raw" in finding.detail for finding in findings)


@needs_humanoid
def test_a_humanoid(humanoid):
    findings = examine_numbers(humanoid.description(), humanoid.data())
    assert [finding for finding in findings if finding.state != OK] == []


@pytest.mark.slow
@needs_humanoid
def test_a_humanoid_on_disk(tmp_path):
    from lerobot.scripts.convert_dataset_v21_to_v30 import convert_dataset

    root = shutil.copytree(HUMANOID, tmp_path / "g1")
    convert_dataset("local/g1", root=root, push_to_hub=False)
    assert_said(examine(root, progress=False), [])


@pytest.mark.skipif(not ROWS.is_file(), reason="the recording is not beside the checkout")
def test_an_episode_of_an_unknown_arm():
    unknown = recording([ROWS], {STATE: "state", ACTION: "action"}, None, 20)
    assert_said(examine_numbers(unknown.description(), unknown.data()), [])


@pytest.mark.parametrize(
    ("folder", "preset"),
    [
        ("octo_bridge/bridge_dataset/1.0.0", "bridge"),
        pytest.param("libero_scripted/libero_object_no_noops/1.0.0", "libero", marks=pytest.mark.slow),
    ],
)
def test_sets_in_rlds(folder, preset):
    import lerobot_dataset_rlds
    from lerobot_dataset_rlds.mapping import load_mapping
    from lerobot_dataset_rlds.source import RldsSource

    if not (SHARED / "rlds" / folder).is_dir():
        pytest.skip("the set is not beside the checkout")
    presets = Path(lerobot_dataset_rlds.__file__).parent / "presets"
    source = RldsSource.open(SHARED / "rlds" / folder, load_mapping(presets / f"{preset}.yaml"), "train")
    features = {key: dict(entry) for key, entry in source.features.items() if entry["dtype"] == "float32"}
    episodes = [dict(source.read(i).columns) for i in range(len(source))]
    read = Recording(features, episodes, source.fps, source.robot_type)
    assert_said(examine_numbers(read.description(), read.data()), [])


def side(of: Recording, which: str) -> tuple[list[str], list[str]]:
    """Names of an arm, and of its hand."""
    names = [name for name in of.features[ACTION]["names"] if name.startswith(f"k{which}")]
    return [name for name in names if "Hand" not in name], [name for name in names if "Hand" in name]


def exchanged(of: Recording, feature: str, names: list[str], others: list[str]) -> Recording:
    return of.reorder(feature, dict(zip([*names, *others], [*others, *names], strict=True)))


@needs_humanoid
@pytest.mark.parametrize("feature", [STATE, ACTION])
@pytest.mark.parametrize("part", [0, 1])
def test_exchanged_limbs_of_a_humanoid(humanoid, feature, part):
    left, right = side(humanoid, "Left")[part], side(humanoid, "Right")[part]
    spoiled = exchanged(humanoid, feature, left, right)
    told = Told("order", (*left, *right), BOTH)
    assert_said(examine_numbers(spoiled.description(), spoiled.data()), [told])


@pytest.mark.slow
@needs_humanoid
def test_any_two_joints_of_the_working_limbs_of_a_humanoid(humanoid):
    """Fingers move much alike, and stop at what they hold."""
    for part in side(humanoid, "Right"):
        for one, other in combinations(part, 2):
            spoiled = exchanged(humanoid, STATE, [one], [other])
            told = Told("order", (one, other), BOTH)
            assert_said(examine_numbers(spoiled.description(), spoiled.data()), [told])
