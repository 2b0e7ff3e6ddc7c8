"""A trained checkpoint in stock `lerobot-eval`, on the recorded episodes it was trained on."""

import json
import sys
from pathlib import Path

import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.scripts import lerobot_eval
from training import Run

from lerobot_env_dataset_replay import recorder


@pytest.fixture
def evaluate(uninterrupted: Run, toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`evaluate(name, *options)` runs lerobot-eval here and returns its metrics."""
    monkeypatch.setattr(recorder, "_used", set())
    # Figures take seconds and have tests of their own.
    monkeypatch.setattr("lerobot_plugins.evaluation.report.report_page", lambda *_: "")
    monkeypatch.setattr("lerobot_plugins.evaluation.figures.overview", lambda *_: None)
    monkeypatch.setattr("lerobot_plugins.evaluation.figures.to_png", lambda _: b"")

    def run(name: str, *options: str) -> dict:
        arguments = [
            f"--policy.path={uninterrupted.policy()}",
            "--policy.n_action_steps=4",
            "--env.type=dataset_replay",
            "--env.repo_id=local/toy",
            f"--env.root={toy_root}",
            f"--env.report_dir={tmp_path / name}",
            f"--output_dir={tmp_path / name / 'out'}",
            *options,
        ]
        monkeypatch.setattr(sys, "argv", ["lerobot-eval", *arguments])
        lerobot_eval.eval_main()
        return json.loads((tmp_path / name / "metrics.json").read_text())

    return run


def test_batching_of_environments_does_not_change_the_scores(evaluate):
    two = ("--env.episodes=[0,1]", "--eval.n_episodes=2")
    alone = evaluate("alone", *two, "--eval.batch_size=1")
    together = evaluate("together", *two, "--eval.batch_size=2")
    assert alone["complete"]
    assert together["complete"]
    assert alone["counts"] == together["counts"]
    for block in ("executed", "chunk"):
        ours, theirs = (metrics[block]["raw"]["mae"] for metrics in (alone, together))
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_scores_are_those_of_the_chunks_the_policy_predicts(evaluate, uninterrupted, toy_root):
    """The first chunk of an episode, predicted here by hand, against the recording."""
    metrics = evaluate("first", "--eval.n_episodes=1", "--eval.batch_size=1", "--policy.n_action_steps=8")
    config = PreTrainedConfig.from_pretrained(uninterrupted.policy())
    policy = get_policy_class(config.type).from_pretrained(uninterrupted.policy(), config=config)
    before, after = make_pre_post_processors(config, str(uninterrupted.policy()))
    dataset = LeRobotDataset("local/toy", root=toy_root)
    frames = [dataset[index] for index in range(9)]

    errors = []
    for start in (0, 8):
        observation = {k: v for k, v in frames[start].items() if k.startswith("observation.")}
        chunk = after(policy.predict_action_chunk(before(observation | {"task": frames[start]["task"]})))[0]
        for predicted, frame in zip(chunk, frames[start:], strict=False):
            errors.append((predicted - frame["action"]).abs())
    assert metrics["executed"]["raw"]["mae"] == pytest.approx(torch.stack(errors).mean().item(), abs=1e-5)
