"""Files of an evaluation: kept, rebuilt, printed, refused."""

import csv
import json
import re

import numpy as np
import pytest
from replay_episodes import NAMES, make_episode, make_run, skip_figures

from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import episodes
from lerobot_plugins.evaluation.report import write_report


@pytest.fixture
def without_figures(monkeypatch):
    skip_figures(monkeypatch)


def write_evaluation(folder, chosen=(0, 1), finished=(0, 1), offset=0.1, **run):
    episodes.save_run(folder, make_run(list(chosen), **run))
    for index in finished:
        episode = make_episode(index, 6 + index, offset=offset)
        episode.picture_frame_P = np.array([0, 3])
        episode.picture_PHWC = np.zeros((2, 32, 64, 3), np.uint8)
        episodes.save_episode(folder, episode)
    return folder


def test_episodes_come_back_as_they_were_kept(tmp_path):
    folder = write_evaluation(tmp_path)
    run = episodes.load_run(folder)
    assert run == make_run([0, 1])
    for kept, loaded in zip((make_episode(0, 6, offset=0.1), make_episode(1, 7, offset=0.1)),
                            episodes.load_episodes(folder, run), strict=True):  # fmt: skip
        assert (loaded.index, loaded.task_T) == (kept.index, kept.task_T)
        for name in ("timestamp_T", "recorded_TA", "predicted_TA", "hold_TA", "chunk_start_C", "chunk_CHA"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(kept, name))


def test_the_report_is_one_page_without_script_or_network(tmp_path):
    write_report(write_evaluation(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    # Addresses inside the page's own images name XML namespaces only.
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert page.count("data:image/svg+xml") == 5
    assert page.count("data:image/jpeg") == 2
    for text in ("Beside the baselines", "gripper", "task 0", "lerobot-eval --env.type=dataset_replay"):
        assert text in page
    assert (tmp_path / "actions.png").read_bytes().startswith(b"\x89PNG")


def test_an_episode_inside_one_chunk_is_reported(tmp_path):
    """Then no chunk begins at a frame that has a previous action to repeat."""
    episodes.save_run(tmp_path, make_run([0]))
    episodes.save_episode(tmp_path, make_episode(0, 4, horizon=6, replan=6))
    write_report(tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["baselines"]["repeat_previous"]["chunk"]["rows"] == 0
    assert metrics["baselines"]["repeat_previous"]["chunk"]["per_horizon"] == []
    assert main(["report", str(tmp_path)]) == 0


def test_text_of_a_dataset_is_escaped(tmp_path):
    episodes.save_run(tmp_path, make_run([0], repo_id="<b>&", command="<i>"))
    episode = make_episode(0, 4)
    episode.task_T = ['<script>"'] * 4
    episodes.save_episode(tmp_path, episode)
    write_report(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert not {"<script", "<i>", "<b>&"} & set(re.findall(r"<script|<i>|<b>&", page))
    assert "&lt;script&gt;&quot;" in page


def test_rebuilding_gives_the_same_bytes(tmp_path):
    write_report(write_evaluation(tmp_path))
    names = ("metrics.json", "predictions.csv", "inference_log.txt", "report.html", "actions.png")
    first = [(tmp_path / name).read_bytes() for name in names]
    write_report(tmp_path)
    assert first == [(tmp_path / name).read_bytes() for name in names]


@pytest.mark.usefixtures("without_figures")
def test_predictions_have_one_row_per_frame(tmp_path):
    folder = write_evaluation(tmp_path)
    episode = make_episode(1, 7, offset=0.1)
    episode.task_T = ['say "hi", twice'] * 7
    episode.predicted_TA[3, 0] = np.nan
    episodes.save_episode(folder, episode)
    write_report(folder)
    content = (folder / "predictions.csv").read_bytes().decode()
    assert content.count("\r\n") == 1 + 6 + 7
    rows = list(csv.DictReader(content.splitlines()))
    assert list(rows[0])[:5] == ["dataset", "episode_index", "frame_index", "timestamp", "task"]
    kinds = ("gt", "pred", "gt_norm", "pred_norm", "gt_bin", "pred_bin")
    assert list(rows[0])[5:] == [f"{kind}_{name}" for kind in kinds for name in NAMES]
    last = rows[-1]
    assert (last["episode_index"], last["frame_index"], last["task"]) == ("1", "6", 'say "hi", twice')
    assert float(last["pred_y"]) - float(last["gt_y"]) == pytest.approx(0.1, abs=1e-6)
    assert {rows[6 + 3][f"pred{kind}_x"] for kind in ("", "_norm", "_bin")} == {""}
    # The range of y is [-2, 2]; `fixed` has none.
    assert float(last["pred_norm_y"]) == pytest.approx(float(last["pred_y"]) / 2, abs=1e-6)
    assert last["gt_bin_y"] == str(int((float(last["gt_norm_y"]) + 1) * 128))
    assert (last["gt_gripper"], last["gt_bin_gripper"]) == ("1", "255")
    assert last["gt_fixed"] == "0.5"
    assert {last[f"gt_{kind}_fixed"] for kind in ("norm", "bin")} == {""}


@pytest.mark.usefixtures("without_figures")
def test_the_log_tells_every_frame(tmp_path):
    write_report(write_evaluation(tmp_path, finished=(1,)))
    lines = (tmp_path / "inference_log.txt").read_text().splitlines()
    assert "command: lerobot-eval --env.type=dataset_replay" in lines
    assert "versions: lerobot 0.6.1" in lines
    assert any(line.startswith("warning: Incomplete: 1 of 2") for line in lines)
    assert "actions: x y gripper fixed" in lines
    frames = lines[lines.index("episode 1: task 1") + 1 :]
    assert len(frames) == 7
    # Off by 0.1 in ranges of 2, 4 and 2, planned anew every second frame.
    assert frames[0] == "frame     0     0.000 s  error 0.0833  action 0.1 0.2 -0.9 0.6  chunk of 3"
    assert [line.endswith("  chunk of 3") for line in frames] == [True, False] * 3 + [True]


def test_an_evaluation_of_which_nothing_is_finished(tmp_path):
    metrics = write_report(write_evaluation(tmp_path, finished=()))
    assert not metrics["complete"]
    assert "No episode has been finished" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "metrics.json").read_text())["executed"] is None


@pytest.mark.usefixtures("without_figures")
def test_one_folder_prints_its_summary(tmp_path, capsys):
    assert main(["report", str(write_evaluation(tmp_path))]) == 0
    printed = capsys.readouterr().out
    for text in ("policy", "hold", "repeat previous", "dataset mean", "pc_success", "report.html", "gripper"):
        assert text in printed


@pytest.mark.usefixtures("without_figures")
def test_several_folders_are_compared(tmp_path, capsys):
    good = write_evaluation(tmp_path / "good", offset=0.01)
    part = write_evaluation(tmp_path / "part", finished=(1,))
    assert main(["report", str(good), str(part)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:3] == ["report", "episodes", "frames"]
    assert [line.split()[1] for line in printed[2:4]] == ["2/2", "1/2"]
    assert any("Incomplete" in line for line in printed)


def test_non_finite_predictions_are_a_finding(tmp_path):
    folder = write_evaluation(tmp_path)
    episode = make_episode(1, 7)
    episode.chunk_CHA[0, 0, 0] = np.nan
    episodes.save_episode(folder, episode)
    assert main(["report", str(folder)]) == 1
    assert "Non-finite predictions" in (folder / "report.html").read_text()


def test_a_folder_without_an_evaluation_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["report", str(tmp_path)]) == 2
    assert "notes.txt" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"kind": "training", "schema_version": 1}'])
def test_a_foreign_manifest_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    assert not episodes.is_ours(tmp_path)
    with pytest.raises(ZooError, match=r"run\.json"):
        write_report(tmp_path)


def test_a_damaged_episode_is_named(tmp_path):
    folder = write_evaluation(tmp_path)
    path = folder / "episodes/episode_000001.npz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ZooError, match=r"episode_000001\.npz is damaged"):
        write_report(folder)


@pytest.mark.usefixtures("without_figures")
def test_clearing_removes_only_our_files(tmp_path):
    folder = write_evaluation(tmp_path)
    write_report(folder)
    (folder / "episodes/mine.npz").write_bytes(b"")
    (folder / "notes.txt").write_text("mine")
    episodes.clear(folder)
    assert sorted(path.name for path in folder.rglob("*")) == ["episodes", "mine.npz", "notes.txt"]
