"""`libero_depth` in the real simulator, where that is installed, and `pi05_comet_vlm2` on its depth: stock
commands from a recording through a kill to two environments."""

import json
import re
from pathlib import Path

import pytest
from comet import COMET
from evaluating import lerobot_eval_here
from simulator import simulator
from training import Run, command
from training_processes import lerobot_train, resume_in_process, train_and_kill

SUPPORT = Path(__file__).parents[1] / "support"
INTRINSICS = "[-309.0193360, 309.0193360, 127.5, 127.5, 256, 256]"
VLM2 = (
    *(*COMET, "--policy.type=pi05_comet_vlm2", "--policy.geometry_dim=16", "--policy.view_dim=8"),
    *("--policy.memory_hidden=32", "--policy.memory_frames=3", "--policy.n_action_steps=4"),
)
DEPTH = (
    *(*VLM2, "--policy.geometry_encoder=depth", "--dataset.video_backend=pyav"),
    f"--policy.camera_intrinsics={{observation.images.image: {INTRINSICS}}}",
)
SAMPLE = Path(__file__).parents[2] / "examples" / "sample_data" / "lerobot" / "libero_sample"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_all_but_depth_is_stock_and_depth_is_where_rays_hit():
    found = json.loads(simulator("python", SUPPORT / "libero_depth_checks.py").splitlines()[-1])
    assert found["different"] == []
    assert {"observation.images.image", "observation.state", "reward"} <= set(found["compared"])
    assert found["added"] == ["observation.images.image2_depth", "observation.images.image_depth"]
    for median, most in found["rays"].values():
        assert median < 0.1, "millimetres"
        assert most < 1.0, "millimetres"


def test_the_intrinsics_that_it_prints_are_an_option():
    options = ("--task=libero_object", "--observation_height=256", "--observation_width=256")
    line = simulator("python", "-m", "lerobot_env_libero_depth", *options).splitlines()[-1]
    printed = re.fullmatch(
        r"--policy\.camera_intrinsics='\{observation\.images\.image: (\[.*?\]), .*\}'", line
    )
    assert json.loads(printed[1]) == pytest.approx(json.loads(INTRINSICS))


def acts(policy, env, folder):
    """Two environments of two tasks, for six steps."""
    simulator(
        *("lerobot-eval", f"--policy.path={policy}", "--policy.device=cpu", f"--env.type={env}"),
        *("--env.task=libero_object", "--env.task_ids=[3,8]", "--env.episode_length=6"),
        *("--env.observation_height=64", "--env.observation_width=64", "--eval.use_async_envs=false"),
        *("--eval.n_episodes=2", "--eval.batch_size=2", f"--output_dir={folder}"),
    )
    return json.loads((folder / "eval_info.json").read_text())["overall"]["n_episodes"]


def test_from_recorded_depth_through_a_kill_to_the_simulator(checkout, tmp_path):
    root, run = tmp_path / "set", Run(tmp_path / "run")
    recorder = checkout / "examples" / "sample_data" / "record_depth.py"
    simulator("python", recorder, "--out", root, "--episodes", 8, 9)

    options = command(root, run.output, *DEPTH, "--steps=20", "--save_freq=7")
    train_and_kill(run, *options, before=14, within=600)
    resume_in_process(run)
    assert run.checkpoint(20).exists()

    two = ("--env.episodes=[0,1]", "--eval.n_episodes=2", "--eval.batch_size=2")
    assert lerobot_eval_here(run.policy(), root, tmp_path / "replay", *two)["complete"]
    assert acts(run.policy(), "libero_depth", tmp_path / "simulator") == 4


def test_memory_alone_acts_in_stock_libero(tmp_path):
    run = Run(tmp_path / "run")
    process = lerobot_train(
        *command(SAMPLE, run.output, *VLM2, "--policy.geometry_encoder=none", "--steps=4")
    )
    assert process.wait() == 0
    assert acts(run.policy(), "libero", tmp_path / "simulator") == 4
