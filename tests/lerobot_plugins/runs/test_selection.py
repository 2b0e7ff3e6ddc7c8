"""The best checkpoint of a run: which one, what is evaluated again, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from replay_episodes import skip_figures
from tiny_policies import processors, tiny_policy

from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.replay import ReplaySource
from lerobot_plugins.runs.selection import select_best


def make_run(folder: Path, steps=(2, 4, 10)) -> Path:
    for step in steps:
        policy = folder / "checkpoints" / f"{step:06d}" / "pretrained_model"
        policy.mkdir(parents=True)
        (policy / "model.safetensors").write_text(str(step))
    (folder / "checkpoints" / "last").symlink_to(f"{max(steps):06d}")
    return folder


class Scores:
    """An evaluation that gives what it is told, and remembers what it was asked."""

    def __init__(self, **values) -> None:
        self.values = values
        self.asked: list[int] = []

    def __call__(self, policy, source, report):
        step = int(policy.parent.name)
        self.asked.append(step)
        value = self.values[f"s{step}"]
        if value == "killed":
            raise KeyboardInterrupt
        block = {"raw": {"mae": value}, "normalized": {"mae": value}, "bins": {"256": {"exact": value}}}
        (report / "metrics.json").write_text(json.dumps({"complete": True, "executed": block}))


@pytest.fixture
def source(tmp_path) -> ReplaySource:
    (tmp_path / "data" / "meta").mkdir(parents=True)
    (tmp_path / "data" / "meta" / "info.json").write_text("{}")
    return ReplaySource("local/data", tmp_path / "data", [3, 1])


def select(run, source, scores, metric="mae", **options):
    return select_best(run, source, metric, evaluate=scores, progress=False, **options)


def test_the_smallest_error_is_best_and_of_equal_ones_the_earliest(tmp_path, source):
    run = make_run(tmp_path / "run")
    selection = select(run, source, Scores(s2=0.5, s4=0.25, s10=0.25), "raw.mae")
    assert selection.evaluated == [2, 4, 10]
    link = run / "checkpoints" / "best"
    assert link.readlink() == Path("000004")
    stored = json.loads((run / "checkpoints" / "best.json").read_text())
    assert stored["best"] == {"step": 4, "checkpoint": "000004", "value": 0.25}
    assert [entry["value"] for entry in stored["checkpoints"]] == [0.5, 0.25, 0.25]
    assert (stored["metric"], stored["mode"]) == ("raw.mae", "min")


def test_the_largest_share_is_best_unless_told_otherwise(tmp_path, source):
    run, scores = make_run(tmp_path / "run"), Scores(s2=0.5, s4=0.9, s10=0.1)
    assert select(run, source, scores, "bins.256.exact").best[0].step == 4
    assert select(run, source, scores, "bins.256.exact", mode="min").best[0].step == 10
    assert scores.asked == [2, 4, 10]


def test_only_what_changed_is_evaluated_again_and_the_file_does_not_change_without_need(tmp_path, source):
    run = make_run(tmp_path / "run")
    select(run, source, Scores(s2=0.5, s4=0.25, s10=0.3))
    before = (run / "checkpoints" / "best.json").read_bytes()
    again = Scores()
    assert select(run, source, again).evaluated == []
    assert (run / "checkpoints" / "best.json").read_bytes() == before

    (run / "checkpoints" / "000002" / "pretrained_model" / "model.safetensors").write_text("other")
    selection = select(run, source, Scores(s2=0.1))
    assert (selection.evaluated, selection.best[0].step) == ([2], 2)
    assert (run / "checkpoints" / "best").readlink() == Path("000002")

    other = ReplaySource(source.repo_id, source.root, [1])
    assert select(run, other, Scores(s2=1, s4=1, s10=1)).evaluated == [2, 4, 10]
    (source.root / "meta" / "stats.json").write_text("{}")
    assert select(run, other, Scores(s2=1, s4=1, s10=1)).evaluated == [2, 4, 10]


def test_an_interruption_loses_the_checkpoint_at_hand_alone(tmp_path, source):
    run = make_run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        select(run, source, Scores(s2=0.5, s4="killed"))
    assert not (run / "checkpoints" / "best.json").exists()
    assert select(run, source, Scores(s4=0.4, s10=0.6)).evaluated == [4, 10]
    assert sorted(path.name for path in (run / "evaluation").iterdir()) == ["000002", "000004", "000010"]


def test_a_number_that_is_not_known_is_never_best(tmp_path, source):
    run = make_run(tmp_path / "run")
    assert select(run, source, Scores(s2=None, s4=0.9, s10=None)).best[0].step == 4
    for step in (2, 4, 10):
        (run / "checkpoints" / f"{step:06d}" / "pretrained_model" / "config.json").write_text("{}")
    assert select(run, source, Scores(s2=None, s4=None, s10=None)).best is None
    assert not (run / "checkpoints" / "best").is_symlink()


def test_wrong_use_is_told(tmp_path, source):
    with pytest.raises(ZooError, match="holds no checkpoints"):
        select(tmp_path, source, Scores())
    run = make_run(tmp_path / "run")
    with pytest.raises(ZooError, match=r"executed\.normalized\.mae"):
        select(run, source, Scores(s2=1, s4=1, s10=1), "nonsense")


def save(policy, folder: Path) -> None:
    policy.save_pretrained(folder)
    for pipeline in processors(policy.config):
        pipeline.save_pretrained(folder)


def test_real_checkpoints_on_real_episodes(tmp_path, toy_root, monkeypatch, capsys):
    """In process, as lerobot-eval does; and a chunk for each frame of the best."""
    import pyarrow.csv
    import pyarrow.parquet
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

    skip_figures(monkeypatch)
    for step in (1, 2):
        policy = tiny_policy("paligemma_flow", seed=step, num_inference_steps=2)
        save(policy, tmp_path / "checkpoints" / f"{step:06d}" / "pretrained_model")
    command = ["evaluate", f"--run-dir={tmp_path}", f"--root={toy_root}", "--episodes", "0"]
    command += ["--save-predictions", "--samples=2"]
    assert main(command) == 0
    assert capsys.readouterr().out.count(" now") == 2
    best = tmp_path / "checkpoints" / "best" / "pretrained_model"
    step = best.resolve().parent.name
    folder = tmp_path / "evaluation" / step
    metrics = json.loads((folder / "metrics.json").read_text())
    stored = json.loads((tmp_path / "checkpoints" / "best.json").read_text())
    assert stored["best"]["value"] == metrics["executed"]["normalized"]["mae"]

    table = pyarrow.parquet.read_table(folder / "chunks.parquet")
    frames = int(LeRobotDatasetMetadata("local/toy", root=toy_root).episodes[0]["length"])
    horizon = tiny_policy("paligemma_flow").config.chunk_size
    assert len(table) == frames * 2 * horizon
    assert len(pyarrow.csv.read_csv(folder / "chunks.csv")) == len(table)
    padded = sum(horizon - 1 - left for left in range(min(horizon, frames)))
    assert sum(table["is_pad"].to_pylist()) == 2 * padded
    name = next(name for name in table.column_names if name.startswith("pred_"))
    numbers = {
        kind: np.array(table[f"{kind}_{name.removeprefix('pred_')}"].to_pylist())
        for kind in ("gt", "gt_norm", "gt_bin", "pred_norm", "pred_bin")
    }
    low, high = (
        np.ravel(LeRobotDatasetMetadata("local/toy", root=toy_root).stats["action"][end])[0]
        for end in ("min", "max")
    )
    np.testing.assert_allclose(numbers["gt_norm"], 2 * (numbers["gt"] - low) / (high - low) - 1, atol=1e-5)
    for side in ("gt", "pred"):
        expected = np.clip(np.floor((numbers[f"{side}_norm"] + 1) * 128), 0, 255)
        assert np.abs(numbers[f"{side}_bin"] - expected).max() <= 1  # float32 rounding of the file
    assert "samples: 2 per frame, seed 0" in (folder / "chunks_log.txt").read_text()
    assert "frame     0" in (folder / "inference_log.txt").read_text()
    first, second = (table.filter(pyarrow.compute.equal(table["sample"], n))[name] for n in (0, 1))
    assert first != second

    before = {path.name: path.read_bytes() for path in folder.glob("chunks.*")}
    assert main(command) == 0
    assert capsys.readouterr().out.count(" before") == 2
    assert {path.name: path.read_bytes() for path in folder.glob("chunks.*")} == before
