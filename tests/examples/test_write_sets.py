"""From recordings to sets: the order of episodes, the RLDS features, and refusals."""

import sys

import numpy as np
import pytest
import write_sets

from lerobot_plugins.errors import ZooError


@pytest.fixture
def recordings(tmp_path):
    """Three episodes of one task and two of another, of a few noisy frames each."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for task, initial_state in ((3, 0), (3, 1), (3, 4), (8, 0), (8, 2)):
        name, steps = f"libero_object_task{task}_init{initial_state:02d}", 4 + initial_state
        np.savez(
            folder / f"{name}.npz",
            name=np.array(name),
            image=rng.integers(0, 256, (steps, 64, 64, 3), dtype=np.uint8),
            wrist_image=rng.integers(0, 256, (steps, 64, 64, 3), dtype=np.uint8),
            state=rng.normal(size=(steps, 8)).astype(np.float32),
            joint_state=rng.normal(size=(steps, 7)).astype(np.float32),
            action=rng.uniform(-1, 1, (steps, 7)).astype(np.float32),
            instruction=np.array(f"do task {task}"),
        )
    (folder / "libero_object_task8_init03.partial.npz").touch()
    return folder


def test_the_first_of_every_task_comes_before_the_second_of_any(recordings):
    names = [file.stem.removeprefix("libero_object_") for file in write_sets.in_order(recordings)]
    assert names == ["task3_init00", "task8_init00", "task3_init01", "task8_init02", "task3_init04"]


def test_no_recordings_says_how_to_make_some(tmp_path):
    with pytest.raises(ZooError, match=r"make_demonstrations\.py"):
        write_sets.in_order(tmp_path)


def test_rlds_marks_first_and_last_and_repeats_the_instruction(recordings):
    recorded = write_sets.load(recordings / "libero_object_task3_init01.npz")
    episode = write_sets.as_rlds(recorded)
    steps = episode["steps"]
    assert steps["is_first"].tolist() == [True, False, False, False, False]
    assert steps["is_last"].tolist() == steps["is_terminal"].tolist() == [False] * 4 + [True]
    assert steps["reward"].tolist() == [0, 0, 0, 0, 1]
    assert steps["language_instruction"] == ["do task 3"] * 5
    assert all(picture.startswith(b"\xff\xd8") for picture in steps["observation/image"])
    assert episode["episode_metadata"]["file_path"] == "libero_object_task3_init01.npz"


def test_both_sets_are_written_and_never_over_others(recordings, tmp_path, monkeypatch, capsys):
    command = ["write_sets.py", "--recordings", str(recordings), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    write_sets.main()
    assert capsys.readouterr().out.count("5 episodes") == 2
    assert len(list((tmp_path / "out/rlds/libero_sample/1.0.0").glob("*.tfrecord-*"))) == 2
    assert (tmp_path / "out/lerobot/libero_sample/meta/info.json").is_file()
    with pytest.raises(SystemExit, match="exists"):
        write_sets.main()
