"""Subtasks of BEHAVIOR-1K: converted, learned by the stock trainer, resumed, written in a replay."""

from pathlib import Path

import pandas as pd
import pytest
from behavior1k_samples import write_sample
from comet import COMET, HOST_GENERATOR
from evaluating import lerobot_eval_here
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from training import Run, differences, interrupted_after, resume, train

from lerobot_plugins.cli.main import main
from lerobot_plugins.evaluation.episodes import load_episodes, load_run
from lerobot_plugins.processing import runtime

SUBTASKS = (
    *("--dataset.repo_id=local/b1k", "--dataset.video_backend=pyav", "--batch_size=2", "--steps=2"),
    *("--save_freq=1", "--policy.subtask_prediction=true"),
)
SENTENCE = "Turn on the radio receiver that's on the table in the living room."
PHRASES = {SENTENCE, "move to the radio", "pick up the radio from the coffee table koagbh", "press the radio"}


def convert(demos: Path, root: Path, *options: str) -> Path:
    required = ("--repo-id=local/b1k", f"--root={root}", "--no-proprioception")
    assert main(["convert", "behavior1k", str(demos), *required, *options]) == 0
    return root


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("demos") / "demos", frames=10, episodes=(10, 30))


@pytest.fixture(scope="module")
def root(demos: Path) -> Path:
    return convert(demos, demos.parent / "converted", "--subtasks=skill")


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = (*SUBTASKS, "--policy.subtask_max_len=80")
    return train(root, tmp_path_factory.mktemp("trained") / "run", *COMET, *options)


def texts_of(root: Path) -> list[str]:
    """The subtask of each frame."""
    names = pd.read_parquet(root / "meta/subtasks.parquet")
    numbers = LeRobotDataset("local/b1k", root=root).hf_dataset["subtask_index"]
    return [names.index[int(number)] for number in numbers]


def test_each_frame_has_its_skill_beside_its_task(root):
    texts = texts_of(root)
    assert set(texts) == PHRASES
    assert texts[:4] == [SENTENCE, SENTENCE, "move to the radio", "move to the radio"]
    assert LeRobotDataset("local/b1k", root=root)[3]["task"] == SENTENCE


def test_merging_keeps_the_texts(root, demos, tmp_path):
    """Though their numbers differ from part to part."""
    other = convert(demos, tmp_path / "other", "--subtasks=primitive", "--episodes=30")
    merged = tmp_path / "merged"
    parts = (str(root), str(other))
    assert main(["merge", *parts, f"--output={merged}", "--statistics-of=all"]) == 0
    assert texts_of(merged) == texts_of(root) + texts_of(other)


def test_it_learns_resumes_and_writes_in_a_replay(trained, root, tmp_path):
    for name in ("subtasks in 21 frames", "loss_subtask", "accuracy_subtask"):
        assert name in trained.log or name in str(vars(trained))
    again = resume(interrupted_after(trained, 1, tmp_path / "run"))
    assert set(differences(trained.checkpoint(2), again.checkpoint(2))) <= {HOST_GENERATOR}
    two = ("--env.repo_id=local/b1k", "--env.episodes=[0,1]", "--eval.n_episodes=2", "--eval.batch_size=2")
    assert lerobot_eval_here(trained.policy(), root, tmp_path, *two)["complete"]
    run = load_run(tmp_path / "report")
    for episode in load_episodes(tmp_path / "report", run):
        assert [frame for frame, _ in episode.subtasks] == [0, 8]
    assert "  subtask '" in (tmp_path / "report/inference_log.txt").read_text()


def test_a_policy_without_subtasks_learns_them_by_adapters(root, tmp_path):
    dataset = ("--dataset.repo_id=local/b1k", f"--dataset.root={root}")
    assert main(["checkpoint", "init", *COMET, *dataset, f"--output={tmp_path / 'base'}"]) == 0
    runtime.bind(None, None)
    lora = ("--peft.method_type=LORA", "--peft.r=2", "--policy.push_to_hub=false", "--steps=1")
    options = (*SUBTASKS, "--policy.subtask_max_len=80", f"--policy.path={tmp_path / 'base'}", *lora)
    run = train(root, tmp_path / "run", *options)
    assert ";\\nSubtask: " in run.log
    assert lerobot_eval_here(run.policy(), root, tmp_path, "--env.repo_id=local/b1k")["complete"]
