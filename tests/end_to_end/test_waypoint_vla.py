"""Stock commands on `waypoint_vla`: training, exact resume, fine-tuning, adapters, open-loop evaluation."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from comet import HOST_GENERATOR
from evaluating import lerobot_eval_here
from safetensors.torch import load_file
from training import Run, differences, interrupted_after, resume, train
from waypoint import WAYPOINT

from lerobot_plugins.cli.main import main
from lerobot_plugins.processing import runtime
from lerobot_plugins.waypoints.dataset import waypoints_path


@pytest.fixture(scope="module")
def root(toy_root, tmp_path_factory) -> Path:
    """A copy of the toy dataset: its waypoints are kept beside it."""
    return Path(shutil.copytree(toy_root, tmp_path_factory.mktemp("waypoints") / "toy"))


@pytest.fixture(scope="module")
def run(root, tmp_path_factory) -> Run:
    """Four steps with checkpoints after 2 and 4, and an average."""
    output = tmp_path_factory.mktemp("waypoint") / "run"
    return train(root, output, *WAYPOINT, "--policy.ema_decay=0.9")


def test_waypoints_are_made_beside_the_dataset(run, root):
    assert "waypoints in 30 frames of 4 episodes" in run.log
    table = json.loads(waypoints_path(root, "libero").read_text())
    assert (table["rule"]["threshold"], table["rule"]["max_duration"]) == (0.2, 8)
    assert len(run.losses) == 4


def test_a_resumed_run_ends_as_the_uninterrupted_one(run, tmp_path):
    resumed = resume(interrupted_after(run, 2, tmp_path / "run"))
    assert resumed.losses == run.losses[2:]
    assert resumed.gradient_norms == run.gradient_norms[2:]
    assert differences(run.checkpoint(4), resumed.checkpoint(4)) == [HOST_GENERATOR]


@pytest.mark.slow
def test_loader_processes_change_nothing(run, root, tmp_path):
    more = ("--num_workers=2", "--dataloader_multiprocessing_context=fork", "--steps=2")
    other = train(root, tmp_path / "run", *WAYPOINT, "--policy.ema_decay=0.9", *more)
    assert other.losses == run.losses[:2]


def test_plans_and_segments_are_scored(run, root, tmp_path):
    """Two environments at once, three episodes: the third is played alone."""
    metrics = lerobot_eval_here(
        run.policy(), root, tmp_path, "--env.episodes=[0,1,2]", "--eval.n_episodes=4", "--eval.batch_size=2"
    )
    assert metrics["complete"]
    assert metrics["counts"]["non_finite"]["executed_values"] == 0
    plan = metrics["plan"]
    assert plan["plans"] == metrics["counts"]["chunks"], "a plan for each segment"
    assert (plan["slots"], [dim["name"] for dim in plan["per_dim"]]) == (7, ["x", "y", "z", "rx", "ry", "rz"])
    assert plan["rows"] > 0
    assert 0 <= plan["gripper_agreement"] <= 1
    # Alone they are scored the same.
    alone = lerobot_eval_here(
        run.policy(), root, tmp_path / "alone", "--env.episodes=[0,1,2]", "--eval.n_episodes=3"
    )
    assert alone["executed"]["raw"]["mae"] == pytest.approx(metrics["executed"]["raw"]["mae"], rel=1e-4)
    assert alone["plan"]["raw"]["mae"] == pytest.approx(plan["raw"]["mae"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--policy.segments_per_plan=0", "--policy.start_state=planned"])
def test_how_plans_are_followed_is_chosen_when_the_policy_acts(run, root, tmp_path, option):
    metrics = lerobot_eval_here(run.policy(), root, tmp_path, option)
    assert metrics["complete"]
    assert metrics["plan"]["plans"] <= metrics["counts"]["chunks"]


def test_fine_tuning_looks_the_new_dataset_up(run, other_root, tmp_path):
    """Its own waypoints, its own statistics."""
    root = Path(shutil.copytree(other_root, tmp_path / "other"))
    more = ("--policy.push_to_hub=false", "--policy.ema_decay=0.9", "--steps=1", "--save_freq=1")
    tuned = train(root, tmp_path / "run", f"--policy.path={run.policy()}", *more)
    assert waypoints_path(root, "libero").exists()
    assert "normalising with the statistics of local/toy" in tuned.log


@pytest.mark.slow
def test_a_planner_and_an_expert_trained_apart_act_together(root, tmp_path):
    """Two runs with two backbones; one policy with both, made by `checkpoint init`."""
    short = ("--steps=1", "--save_freq=1")
    vlm = train(root, tmp_path / "vlm", *WAYPOINT, *short, "--policy.loss_mode=vlm")
    ae = train(root, tmp_path / "ae", *WAYPOINT, *short, "--policy.loss_mode=ae")
    output = tmp_path / "both"
    dataset = ("--dataset.repo_id=local/toy", f"--dataset.root={root}", f"--output={output}")
    parts = (f"--policy.init_from={ae.policy()}", f"--policy.planner_init_from={vlm.policy()}")
    assert main(["checkpoint", "init", *WAYPOINT, "--policy.separate_planner=true", *parts, *dataset]) == 0
    runtime.bind(None, None)
    both, planner = load_file(output / "model.safetensors"), load_file(vlm.policy() / "model.safetensors")
    expert = load_file(ae.policy() / "model.safetensors")
    norm = "language_model.norm.weight"
    encoder = "model.paligemma_with_expert.paligemma.model."
    assert torch.equal(both[f"model.planner.{norm}"], planner[encoder + norm])
    assert torch.equal(both["model.action_in_proj.weight"], expert["model.action_in_proj.weight"])
    assert lerobot_eval_here(output, root, tmp_path / "eval")["complete"]


# Adapters.

ADAPTED = 3 * 7 * 2  # three layers, seven linear ones each, of both Gemmas


@pytest.fixture(scope="module")
def adapted(root, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("waypoint-lora")
    dataset = ("--dataset.repo_id=local/toy", f"--dataset.root={root}")
    assert main(["checkpoint", "init", *WAYPOINT, *dataset, f"--output={folder / 'base'}"]) == 0
    runtime.bind(None, None)
    lora = (
        "--peft.method_type=LORA",
        "--peft.r=4",
        "--policy.push_to_hub=false",
        "--policy.optimizer_lr=1e-2",
    )
    return train(root, folder / "run", f"--policy.path={folder / 'base'}", *lora)


def test_adapters_leave_the_token_table_alone_and_train_its_used_rows(adapted):
    assert f"adapters go into {ADAPTED} linear layers" in adapted.log
    stored = load_file(adapted.policy() / "adapter_model.safetensors")
    assert sum("lora_A" in name for name in stored) == ADAPTED
    whole = {name.split(".")[-2] for name in stored if "lora" not in name}
    heads = {"action_in_proj", "action_out_proj", "time_mlp_in", "time_mlp_out"}
    assert whole == heads | {"proprio_encoder", "duration_embed", "token_rows"}
    rows = next(value for name, value in stored.items() if "token_rows" in name)
    assert rows.shape[0] == 338
    assert rows.abs().max() > 0


def test_adapters_resume_exactly(adapted, tmp_path):
    resumed = resume(interrupted_after(adapted, 2, tmp_path / "run"))
    assert resumed.losses == adapted.losses[2:]
    assert differences(adapted.checkpoint(4), resumed.checkpoint(4)) == [HOST_GENERATOR]


@pytest.mark.slow
def test_adapters_are_reloaded_and_merged(adapted, root, tmp_path):
    merged = tmp_path / "merged"
    assert main(["checkpoint", "merge-lora", str(adapted.policy()), f"--output={merged}"]) == 0
    found = {
        name: lerobot_eval_here(path, root, tmp_path / name)["executed"]["raw"]["mae"]
        for name, path in {"merged": merged, "adapter": adapted.policy()}.items()
    }
    assert found["merged"] == pytest.approx(found["adapter"], rel=1e-3)
