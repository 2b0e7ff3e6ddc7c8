"""Stock commands on `pi05_comet_vlm2`: from a `pi05_comet` checkpoint, exact resume, two environments."""

from pathlib import Path

import pytest
from comet import COMET, HOST_GENERATOR
from evaluating import lerobot_eval_here
from tiny_policies import tiny_policy
from training import Run, differences, interrupted_after, resume, train

VLM2 = (
    *COMET,
    "--policy.type=pi05_comet_vlm2",
    "--policy.geometry_encoder=stub",
    "--policy.geometry_dim=16",
    "--policy.view_dim=8",
    "--policy.memory_hidden=32",
    "--policy.memory_frames=3",
    "--policy.n_action_steps=2",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A `pi05_comet`."""
    folder = tmp_path_factory.mktemp("base")
    tiny_policy("pi05_comet").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(base, toy_root, tmp_path_factory) -> Run:
    """Four steps from its weights, with checkpoints after 2 and 4."""
    output = tmp_path_factory.mktemp("vlm2") / "run"
    return train(toy_root, output, *VLM2, f"--policy.init_from={base}")


def test_it_starts_from_a_comet_checkpoint_and_says_what_is_new_and_what_it_costs(trained):
    line = next(line for line in trained.log.splitlines() if "; new:" in line)
    new = line.split("; new: ")[1].split(", ")
    assert all(name.startswith(("perception", "episode_memory")) for name in new)
    assert "history: 3 moments, 2 control steps apart; a sample decodes at least 6 pictures" in trained.log


def test_a_resumed_run_ends_as_the_uninterrupted_one(trained, tmp_path):
    resumed = resume(interrupted_after(trained, 2, tmp_path / "run"))
    assert resumed.losses == trained.losses[2:]
    assert resumed.gradient_norms == trained.gradient_norms[2:]
    assert differences(trained.checkpoint(4), resumed.checkpoint(4)) == [HOST_GENERATOR]


@pytest.mark.slow
def test_two_environments_score_as_one(trained, toy_root, tmp_path):
    """Episodes of 9 and 7 frames: one ends while the other goes on remembering."""
    found = []
    for size in (1, 2):
        more = ("--env.episodes=[0,1]", "--eval.n_episodes=2", f"--eval.batch_size={size}")
        found.append(lerobot_eval_here(trained.policy(), toy_root, tmp_path / str(size), *more))
    assert all(metrics["complete"] for metrics in found)
    alone, together = (metrics["executed"]["raw"]["mae"] for metrics in found)
    assert alone == pytest.approx(together, abs=1e-5)
