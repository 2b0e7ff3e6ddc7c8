"""`paligemma_flow` with a history in the stock commands: train, resume, evaluate."""

import json

import pytest
import torch
from evaluating import lerobot_eval_here
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from tiny_paligemma import MICRO_HEAD
from training import TINY, interrupted_after, resume, train

HEAD = tuple(f"--policy.{name}={value}" for name, value in MICRO_HEAD.items())
HISTORY = ("--policy.n_obs_steps=3", "--policy.num_inference_steps=2", "--batch_size=2")


def test_it_trains_and_replays(toy_root, tmp_path):
    run = train(toy_root, tmp_path / "run", *TINY, *HEAD, *HISTORY, "--steps=2")
    config = json.loads((run.policy() / "config.json").read_text())
    assert (config["n_obs_steps"], config["history_mode"]) == (3, "auto")
    metrics = lerobot_eval_here(run.policy(), toy_root, tmp_path / "eval", "--policy.n_action_steps=2")
    assert metrics["complete"]


def test_what_the_loader_hands_over(toy_root):
    """Steps before an episode repeat its first one and are flagged; actions behind it repeat the last."""
    at = 1 / 20
    keys = ("observation.state", "observation.images.image")
    dataset = LeRobotDataset(
        "local/toy",
        root=toy_root,
        delta_timestamps={key: [step * at for step in range(-3, 1)] for key in keys}
        | {"action": [step * at for step in range(8)]},
    )
    second = dataset[1]
    alone = LeRobotDataset("local/toy", root=toy_root)
    for key in keys:
        expected = torch.stack([alone[step][key] for step in (0, 0, 0, 1)])
        assert torch.equal(second[key], expected)
        assert second[f"{key}_is_pad"].tolist() == [True, True, False, False]
    last = dataset[8]  # of the first episode's nine
    assert last["action_is_pad"].tolist() == [False] + [True] * 7
    assert torch.equal(last["action"], alone[8]["action"].expand(8, -1))


@pytest.mark.slow
def test_it_resumes(toy_root, tmp_path):
    run = train(toy_root, tmp_path / "run", *TINY, *HEAD, *HISTORY)
    resumed = resume(interrupted_after(run, 2, tmp_path / "part"))
    assert resumed.losses == run.losses[2:]


@pytest.mark.parametrize("mode", ["last", "joint", "compressed"])
@pytest.mark.slow
def test_the_other_modes_train_and_replay(toy_root, tmp_path, mode):
    more = ("--policy.vision_resampler_type=pool", "--policy.resampler_num_tokens=16")
    run = train(
        toy_root,
        tmp_path / "run",
        *TINY,
        *HEAD,
        *HISTORY,
        *more,
        f"--policy.history_mode={mode}",
        "--steps=2",
    )
    assert lerobot_eval_here(run.policy(), toy_root, tmp_path / "eval")["complete"]
