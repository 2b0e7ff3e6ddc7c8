from pathlib import Path

import pytest

from lerobot_dataset_rlds import PRESETS
from lerobot_dataset_rlds.mapping import RESERVED, CameraMapping, ColumnMapping, Part, load_mapping
from lerobot_plugins.errors import ZooError

WHOLE = """
fps: 10
robot_type: arm
task: {text: pick up the cup}
images:
  observation.images.front: observation/image
  observation.images.wrist: {source: observation/wrist, rotate: 180}
columns:
  observation.state:
    source: [{path: observation/state, slice: [0, 6]}, observation/gripper]
    names: [a, b, c, d, e, f, gripper]
  action: {source: action, slice: [null, 6]}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_everything_that_a_mapping_can_say(tmp_path: Path) -> None:
    mapping = load_mapping(write(tmp_path, WHOLE))
    assert (mapping.fps, mapping.robot_type) == (10, "arm")
    assert (mapping.task_path, mapping.task_text) == (None, "pick up the cup")
    assert mapping.images == {
        "observation.images.front": CameraMapping("observation/image"),
        "observation.images.wrist": CameraMapping("observation/wrist", turned=True),
    }
    assert mapping.columns == {
        "observation.state": ColumnMapping(
            (Part("observation/state", 0, 6), Part("observation/gripper")), (*"abcdef", "gripper")
        ),
        "action": ColumnMapping((Part("action", None, 6),)),
    }


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_are_mapping_files(preset: Path) -> None:
    mapping = load_mapping(preset)
    assert mapping.columns["action"].names[-1].endswith("gripper")  # type: ignore[index]
    assert not any(camera.turned for camera in mapping.images.values())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("fps: 10", "fps: 0", "'fps'"),
        ("fps: 10", "fps: yes", "'fps'"),
        ("fps: 10\n", "", "missing: fps"),
        ("robot_type: arm", "robot_type: 3", "'robot_type'"),
        ("fps: 10", "fps: 10\nfsp: 3", "unknown: fsp"),
        ("rotate: 180", "rotate: 90", "0 or 180"),
        ("slice: [0, 6]", "slice: 6", r"\[start, stop\]"),
        ("names: [a, b,", "names: [a, no,", "quote yes, no"),
        ("  action:", "  actions:", "no policy trains without"),
        ("observation.images.front", "../front", "letters, digits"),
        ("observation.images.front", "observation..front", "letters, digits"),
        ("{text: pick up the cup}", "{}", "missing: text"),
        ("images:", "images: 3\nx:", "unknown: x"),
        ("columns:", "columns: [", "not valid YAML"),
        ("observation.state:", "timestamp:", "LeRobot adds a column"),
        ("observation.images.wrist", "task_index", "LeRobot adds a column"),
        ("observation.images.wrist", "action", "other keys than under columns"),
        ("names: [a, b,", "names: [a, a,", "a different name for each dimension"),
        ("fps: 10", "!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in WHOLE
    with pytest.raises(ZooError, match=message) as error:
        load_mapping(write(tmp_path, WHOLE.replace(before, after, 1)))
    assert "mine.yaml" in str(error.value)


def test_the_keys_that_lerobot_adds_are_reserved() -> None:
    from lerobot.utils.constants import DEFAULT_FEATURES

    assert set(RESERVED) == {*DEFAULT_FEATURES, "task"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"does not exist\n +got: +nothing there"):
        load_mapping(tmp_path / "none.yaml")
