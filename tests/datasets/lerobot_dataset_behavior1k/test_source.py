"""What the bridge chooses and refuses, before anything is written."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from behavior1k_samples import (
    EPISODES,
    TASKS,
    actions,
    colours,
    write_json,
    write_sample,
    write_table,
    write_video,
)

from lerobot_dataset_behavior1k.options import Options
from lerobot_dataset_behavior1k.source import Behavior1kSource
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError

FIRST = "task-0000/episode_00000010"
HEAD = "observation.images.rgb.head"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("b1k") / "demos", frames=8)


@pytest.fixture
def sample(pristine: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(pristine, tmp_path / "demos"))


def head_video(sample: Path) -> Path:
    return sample / f"videos/task-0000/{HEAD}/episode_00000010.mp4"


@pytest.mark.parametrize(
    ("tasks", "episodes", "chosen"),
    [
        (None, None, EPISODES),
        ("0", None, (10, 30)),
        ("make_pizza", None, (490020,)),
        ("0, make_pizza", None, EPISODES),
        (None, "30", (30,)),
        (None, "10-29, 490000-500000", (10, 490020)),
        ("0", "20-499999", (30,)),
    ],
)
def test_episodes_are_chosen(pristine: Path, tasks: str, episodes: str, chosen: tuple[int, ...]) -> None:
    assert Behavior1kSource.open(pristine, Options(tasks=tasks, episodes=episodes)).episodes == chosen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(tasks="make_soup"), "no task of this data set: 'make_soup'[^$]*49 make_pizza"),
        (Options(tasks="7"), "no task of this data set: '7'"),
        (Options(tasks="1"), "no episode is chosen"),
        (Options(episodes="20"), "no episode of this data set: '20'[^$]*00000010"),
        (Options(episodes="1:3"), "--episodes is malformed"),
        (Options(tasks="49", episodes="10"), "no episode is chosen"),
        (Options(depth="head"), "names no depth camera[^$]*--depth head[^$]*--depth none"),
        (Options(depth="all"), "names no depth camera[^$]*--depth all[^$]*--depth none"),
    ],
)
def test_choices_of_what_is_not_there_are_refused(pristine: Path, options: Options, message: str) -> None:
    with pytest.raises(ZooError, match=message):
        Behavior1kSource.open(pristine, options)


def test_features_without_proprioception_and_with_some_depth(tmp_path: Path) -> None:
    demos = write_sample(tmp_path, episodes=(10,), frames=3, depth="gray16le")
    source = Behavior1kSource.open(demos, Options(depth="head,left_wrist", proprioception=False))
    assert list(source.features) == [
        "observation.state",
        "action",
        *(f"observation.images.rgb.{camera}" for camera in ("head", "left_wrist", "right_wrist")),
        *(f"observation.images.depth.{camera}" for camera in ("head", "left_wrist")),
    ]
    assert set(source.read(0).columns) == {"observation.state", "action"}


def test_an_unknown_depth_camera_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    demos = write_sample(tmp_path, episodes=(10,), frames=3, depth="gray16le")
    with pytest.raises(ZooError, match="--depth head,nose names a camera that is not there") as refused:
        Behavior1kSource.open(demos, Options(depth="head,nose"))
    assert "none, all, or some of head, left_wrist, right_wrist" in str(refused.value)


def test_a_frame_without_annotation_gets_its_tasks_sentence(sample: Path) -> None:
    write_json(sample / f"annotations/{FIRST}.json", {"skill_annotation": []})
    source = Behavior1kSource.open(sample, Options(tasks="0", prompts="skill"))
    assert source.read(0).tasks == [TASKS[0][1]] * 8
    assert source.surveys[0].undescribed == 8 + 2


def test_primitives_and_names_of_objects(sample: Path, tmp_path: Path) -> None:
    names = {"coffee_table_koagbh_0": "coffee table"}
    source = Behavior1kSource.open(sample, Options(prompts="primitive", object_names=names))
    assert set(source.read(0).tasks) == {"pick up the radio from the coffee table then press the radio"}


def remove(path: str):
    return lambda sample: (sample / path).unlink()


def replace_table(**columns: object):
    return lambda sample: write_table(sample / f"data/{FIRST}.parquet", 10, 8, **columns)


def edit_info(**entries: object):
    def edit(sample: Path) -> None:
        path = sample / "meta/info.json"
        write_json(path, json.loads(path.read_text()) | entries)

    return edit


AT_ONCE = [
    (remove(f"data/{FIRST}.parquet"), "1 files of the 3 chosen episodes are missing[^$]*data/task-0000"),
    (remove(f"videos/task-0000/{HEAD}/episode_00000010.mp4"), "1 files of the 3 chosen episodes are missing"),
    (
        remove(f"annotations/{FIRST}.json"),
        "annotations/task-0000/episode_00000010.json[^$]*expected:[^$]*--prompts skill[^$]*--on-error skip",
    ),
    (lambda sample: (sample / f"annotations/{FIRST}.json").write_text("{"), "the annotation is no JSON"),
    (remove("meta/info.json"), "meta/info.json is missing"),
    (remove("meta/episodes.jsonl"), "meta/episodes.jsonl is missing"),
    (lambda sample: (sample / "meta/tasks.jsonl").write_text("{}\n"), "tasks.jsonl, line 1 is malformed"),
    (
        lambda sample: (sample / "meta/tasks.jsonl").write_text(
            '{"task_index": 0, "task_name": "x", "task": " "}\n'
        ),
        "no text for task 0",
    ),
    (edit_info(codebase_version="v3.0"), "of another version[^$]*lerobot-train"),
    (edit_info(fps="30"), "meta/info.json is malformed"),
    (edit_info(features={}), "names no camera"),
]


@pytest.mark.parametrize(("damage", "message"), AT_ONCE)
def test_what_is_missing_is_said_before_the_work_begins(sample: Path, damage, message: str) -> None:
    damage(sample)
    with pytest.raises(ZooError, match=message):
        Behavior1kSource.open(sample, Options(prompts="skill"))


WHEN_READ = [
    (lambda sample: write_table(sample / f"data/{FIRST}.parquet", 10, 7), "another number of frames"),
    (replace_table(action=None), "lacks columns[^$]*no action"),
    (replace_table(action=pa.array(list(np.zeros((8, 22), np.float32)))), "'action' has another length"),
    (replace_table(action=pa.array([[0.0] * 23] * 7 + [[0.0] * 22])), "'action' has another length"),
    (replace_table(action=pa.array([[None] * 23] * 8, pa.list_(pa.float32()))), "'action' lacks numbers"),
    (replace_table(action=pa.array(np.zeros(8))), "'action' holds no vectors"),
    (replace_table(timestamp=pa.array(np.arange(8) / 15)), "frame 1 is not where the frame rate puts it"),
    (lambda sample: (sample / f"data/{FIRST}.parquet").write_bytes(b"PAR1"), "the table is damaged"),
    (lambda sample: write_video(head_video(sample), colours(10, 7, 64, 0)), "another number of frames[^$]*7"),
    (lambda sample: write_video(head_video(sample), colours(10, 9, 64, 0)), "another number of frames[^$]*9"),
    (lambda sample: write_video(head_video(sample), colours(10, 8, 72, 0)), "frame 0 has another size"),
    (
        lambda sample: write_video(head_video(sample), colours(10, 8, 64, 0), codec="mpeg4", options={}),
        "another codec[^$]*mpeg4",
    ),
    (
        lambda sample: write_video(head_video(sample), colours(10, 8, 64, 0), pixel_format="yuv444p"),
        "another pixel format[^$]*yuv444p",
    ),
    (
        lambda sample: head_video(sample).write_bytes(head_video(sample).read_bytes()[:900]),
        "the file holds no video",
    ),
    (lambda sample: head_video(sample).write_bytes(b""), "is damaged at frame 0[^$]*got:[^$]*expected:"),
]


@pytest.mark.parametrize(("damage", "message"), WHEN_READ)
def test_a_damaged_episode_is_named(
    sample: Path, damage, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    damage(sample)
    arguments = ["--repo-id", "local/x", "--root", str(tmp_path / "out"), "--workers", "1"]
    assert main(["convert", "behavior1k", str(sample), *arguments]) == 2
    error = capsys.readouterr().err
    assert f"episode 0 ({FIRST})" in error
    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["rgb", "depth"])
def test_a_video_of_another_shape_is_refused_before_it_is_shrunk(
    tmp_path: Path, capsys: pytest.CaptureFixture, kind: str
) -> None:
    demos = write_sample(tmp_path / "demos", episodes=(10,), frames=3, depth="gray16le")
    path = demos / f"videos/task-0000/observation.images.{kind}.head/episode_00000010.mp4"
    if kind == "rgb":
        write_video(path, [np.zeros((64, 128, 3), np.uint8)] * 3)
    else:
        write_video(path, [np.zeros((64, 128), np.uint16)] * 3, "gray16le", "ffv1", "gray16le")
    arguments = ["--repo-id", "local/x", "--root", str(tmp_path / "out"), "--workers", "1"]
    arguments += ["--depth", "all", "--size", "32"]
    assert main(["convert", "behavior1k", str(demos), *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(r"frame 0 has another size[^$]*\(64, 128\)[^$]*\(64, 64\)", error), error
    assert not (tmp_path / "out").exists()


def test_damaged_episodes_can_be_left_out(sample: Path, tmp_path: Path, capsys) -> None:
    remove(f"annotations/{FIRST}.json")(sample)
    write_table(sample / "data/task-0049/episode_00490020.parquet", 490020, 3)
    arguments = ["--repo-id", "local/x", "--root", str(tmp_path / "out"), "--workers", "1"]
    arguments += ["--prompts", "skill", "--on-error", "skip", "--dry-run"]
    assert main(["convert", "behavior1k", str(sample), *arguments]) == 1
    shown = capsys.readouterr().out
    assert "episodes    1, of 9 to 9 frames" in shown
    assert "the annotation is missing" in shown
    assert "than meta/episodes.jsonl says" in shown


def test_numbers_that_are_not_finite_are_refused(sample: Path, tmp_path: Path, capsys) -> None:
    bad = actions(10, 8)
    bad[3, 14] = np.nan
    replace_table(action=pa.array(list(bad)))(sample)
    arguments = ["--repo-id", "local/x", "--root", str(tmp_path / "out"), "--workers", "1"]
    assert main(["convert", "behavior1k", str(sample), *arguments]) == 2
    assert "dimension left_gripper.pos, is not finite in frame 3" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", "{", '{"radio_89": 3}'])
def test_malformed_names_of_objects_are_refused(pristine: Path, tmp_path: Path, content: str, capsys) -> None:
    names = tmp_path / "names.json"
    names.write_text(content)
    arguments = ["--repo-id", "local/x", "--prompts", "skill", "--object-names", str(names)]
    assert main(["convert", "behavior1k", str(pristine), *arguments]) == 2
    assert "--object-names" in capsys.readouterr().err


def test_cameras_outside_the_folder_are_not_looked_for(sample: Path) -> None:
    info = json.loads((sample / "meta/info.json").read_text())
    info["features"]["observation.images.rgb./../../x"] = info["features"][HEAD]
    write_json(sample / "meta/info.json", info)
    assert not [key for key in Behavior1kSource.open(sample, Options()).features if ".." in key]


def test_workers_import_neither_torch_nor_lerobot() -> None:
    code = (
        "import sys, lerobot_dataset_behavior1k;"
        "light = [name for name in ('numpy', 'av', 'PIL', 'pyarrow') if name in sys.modules];"
        "import lerobot_plugins.conversion.workers, lerobot_dataset_behavior1k.source;"
        "print(light + [name for name in ('torch', 'lerobot', 'datasets') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
