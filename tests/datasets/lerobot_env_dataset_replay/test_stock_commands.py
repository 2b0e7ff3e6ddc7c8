"""The stock commands, their arguments parsed as a user gives them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.scripts import lerobot_eval

ACT = [
    "--policy.type=act",
    "--policy.device=cpu",
    "--policy.push_to_hub=false",
    "--policy.pretrained_backbone_weights=null",
    "--policy.dim_model=32",
    "--policy.n_heads=2",
    "--policy.dim_feedforward=32",
    "--policy.n_encoder_layers=1",
    "--policy.n_decoder_layers=1",
    "--policy.use_vae=false",
    "--policy.chunk_size=4",
    "--policy.n_action_steps=2",
]


def env_arguments(root, tmp_path):
    return [
        "--env.type=dataset_replay",
        "--env.repo_id=local/replay",
        f"--env.root={root}",
        f"--env.report_dir={tmp_path / 'report'}",
    ]


def run_eval(monkeypatch, arguments):
    """`lerobot-eval` in this process: the imports alone take many seconds."""
    monkeypatch.setattr(sys, "argv", ["lerobot-eval", *arguments])
    lerobot_eval.eval_main()


def test_stock_act_with_random_weights(root, tmp_path, monkeypatch):
    arguments = [
        *ACT,
        *env_arguments(root, tmp_path),
        "--env.episodes=[2,0]",
        "--eval.n_episodes=2",
        "--eval.batch_size=2",
        f"--output_dir={tmp_path / 'out'}",
    ]
    run_eval(monkeypatch, arguments)
    metrics = json.loads((tmp_path / "report/metrics.json").read_text())
    info = json.loads((tmp_path / "out/eval_info.json").read_text())
    assert metrics["chunk"] is None
    assert metrics["counts"]["episodes"] == 2
    assert info["overall"]["avg_sum_reward"] == pytest.approx(metrics["lerobot_eval"]["avg_sum_reward"])
    assert len(info["overall"]["video_paths"]) == 2
    assert "lerobot-eval --policy.type=act" in (tmp_path / "report/report.html").read_text()


@pytest.mark.usefixtures("without_figures")
def test_an_evaluation_can_be_recorded(root, tmp_path, monkeypatch):
    arguments = [
        *ACT,
        *env_arguments(root, tmp_path),
        "--eval.n_episodes=1",
        "--eval.batch_size=1",
        "--eval.recording=true",
        f"--output_dir={tmp_path / 'out'}",
    ]
    run_eval(monkeypatch, arguments)
    recording = LeRobotDataset(
        "eval_recording", root=tmp_path / "out/recordings/dataset_replay_0", video_backend="pyav"
    )
    assert recording.num_frames == 7
    assert {"observation.images.top", "observation.place", "agent_pos", "action"} <= set(recording.features)


def test_a_wrong_episode_ends_the_command_with_the_reason(root, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_eval(
            monkeypatch, [*ACT, *env_arguments(root, tmp_path), "--env.episodes=[9]", "--eval.n_episodes=1"]
        )
    assert "from 0 to 2" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.cli
def test_train_evaluates_and_eval_reloads(root, tmp_path):
    """`lerobot-train` with an evaluation every step, then `lerobot-eval` on its checkpoint."""
    scripts = Path(sys.executable).parent
    train = [
        str(scripts / "lerobot-train"),
        *ACT,
        *env_arguments(root, tmp_path),
        "--dataset.repo_id=local/replay",
        f"--dataset.root={root}",
        "--dataset.video_backend=pyav",
        "--batch_size=2",
        "--num_workers=0",
        "--steps=2",
        "--env_eval_freq=1",
        "--eval.n_episodes=3",
        "--eval.batch_size=1",
        f"--output_dir={tmp_path / 'train'}",
    ]
    subprocess.run(train, check=True, timeout=300)
    for folder in ("report", "report/eval_0002"):
        assert json.loads((tmp_path / folder / "metrics.json").read_text())["complete"]

    evaluate = [
        str(scripts / "lerobot-eval"),
        f"--policy.path={tmp_path / 'train/checkpoints/last/pretrained_model'}",
        "--policy.device=cpu",
        *env_arguments(root, tmp_path)[:-1],
        f"--env.report_dir={tmp_path / 'eval'}",
        "--eval.n_episodes=3",
        "--eval.batch_size=2",
        f"--output_dir={tmp_path / 'out'}",
    ]
    subprocess.run(evaluate, check=True, timeout=300)
    reloaded = json.loads((tmp_path / "eval/metrics.json").read_text())
    in_training = json.loads((tmp_path / "report/eval_0002/metrics.json").read_text())
    assert reloaded["executed"]["raw"]["mae"] == pytest.approx(
        in_training["executed"]["raw"]["mae"], rel=1e-4
    )
