"""Does memory help, does depth? The same tiny policy with and without them, on the tasks of `make_tasks.py`.

A tiny `pi05_comet` learns `card` from random weights. Every run starts from it: the stock `lerobot-train` on
the task, then the stock `lerobot-eval` with `dataset_replay` on held-out episodes. All have the same
data, steps, batch and seeds. A run that is finished is not repeated, so an interrupted experiment goes on.

    python examples/memory_tasks/make_tasks.py --out outputs/memory_tasks/data
    python examples/memory_tasks/run.py --data outputs/memory_tasks/data --out outputs/memory_tasks
"""

import argparse
import json
import multiprocessing
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.scripts import lerobot_eval, lerobot_train
from make_tasks import CAMERA, DECISION, INTRINSICS, TRAINED

from lerobot_plugins.evaluation.episodes import load_episodes, load_run
from lerobot_plugins.evaluation.files import to_json, write_atomically

COMMON = [
    "--policy.paligemma_variant=tiny",
    "--policy.action_expert_variant=tiny",
    "--policy.device=cpu",
    "--policy.dtype=float32",
    "--policy.push_to_hub=false",
    "--policy.chunk_size=4",
    "--policy.n_action_steps=4",
    "--policy.prompt_max_len=64",
    "--policy.freeze_vision_tower=false",
    "--policy.image_augmentation=false",
    "--policy.optimizer_lr=1e-3",
    "--policy.scheduler_warmup_steps=50",
]
# Sizes inside, which have to fit a width of 128 instead of 2,048; what is remembered is what training shows.
VLM2 = [
    "--policy.type=pi05_comet_vlm2",
    "--policy.geometry_dim=32",
    "--policy.view_dim=32",
    "--policy.memory_hidden=128",
    "--policy.memory_frames=4",
    "--policy.memory_working=3",
    "--policy.memory_episodic=3",
]
DEPTH = ["--policy.geometry_encoder=depth", f"--policy.camera_intrinsics={json.dumps({CAMERA: INTRINSICS})}"]
POLICIES: dict[str, dict[str, list[str]]] = {
    "cue": {
        "pi05_comet": ["--policy.type=pi05_comet"],
        "pi05_comet_vlm2": VLM2,
        "pi05_comet_vlm2, hamlet": [*VLM2, "--policy.memory=hamlet"],
        "pi05_comet_vlm2, memory_vla": [*VLM2, "--policy.memory=memory_vla"],
    },
    "depth": {
        "pi05_comet": ["--policy.type=pi05_comet"],
        "pi05_comet_vlm2": [*VLM2, *DEPTH, "--policy.memory=none"],
    },
}


def train(task: str, options: list[str], seed: int, data: Path, folder: Path, steps: int) -> Path:
    """Train on the first episodes of a task; returns the folder of the policy."""
    trained_on = [f"--dataset.root={data / task}", f"--dataset.episodes={list(range(TRAINED))}"]
    stock(
        lerobot_train.main,
        *("lerobot-train", *options, *COMMON, f"--dataset.repo_id=local/{task}", *trained_on),
        *("--dataset.video_backend=pyav", "--batch_size=16", f"--steps={steps}", f"--save_freq={steps}"),
        *("--log_freq=50", "--num_workers=0", "--env_eval_freq=0", f"--seed={seed}"),
        f"--output_dir={folder}",
    )
    return folder / "checkpoints/last/pretrained_model"


def measure(
    task: str, policy: str, seed: int, base: Path, data: Path, out: Path, steps: int
) -> dict[str, Any]:
    """Train and replay once; the result is kept in a file of its own."""
    folder = out / task / policy.replace(", ", "-") / f"seed{seed}"
    kept = folder / "result.json"
    if kept.exists():
        return json.loads(kept.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    options = [*POLICIES[task][policy], f"--policy.init_from={base}"]
    trained = train(task, options, seed, data, folder / "train", steps)
    episodes = json.loads((data / task / "meta/info.json").read_text())["total_episodes"]
    held_out = list(range(TRAINED, episodes))
    stock(
        lerobot_eval.main,
        *("lerobot-eval", f"--policy.path={trained}", "--policy.device=cpu", "--env.type=dataset_replay"),
        *(f"--env.repo_id=local/{task}", f"--env.root={data / task}", f"--env.episodes={held_out}"),
        *(f"--env.report_dir={folder / 'report'}", f"--eval.n_episodes={len(held_out)}"),
        *("--eval.batch_size=10", f"--seed={seed}", f"--output_dir={folder / 'eval'}"),
    )
    result = score(folder / "report")
    write_atomically(kept, to_json(result))
    return result


def stock(command: Callable[[], None], *arguments: str) -> None:
    """Run one of LeRobot's commands in a process of its own, forked so that it imports nothing again.

    Raises:
        SystemExit: It failed; its message is on the screen.
    """
    process = multiprocessing.get_context("fork").Process(target=_call, args=(command, list(arguments)))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{arguments[0]} failed ({process.exitcode}); the same command goes on from here")


def _call(command: Callable[[], None], arguments: list[str]) -> None:
    sys.argv = arguments
    command()


def score(report: Path) -> dict[str, Any]:
    """The mean absolute error of the executed side, and the share of episodes that end on the right one."""
    episodes = load_episodes(report, load_run(report))
    errors = [np.abs(episode.predicted_TA - episode.recorded_TA)[:, 0].mean() for episode in episodes]
    right = [
        np.sign(episode.predicted_TA[DECISION:, 0].mean()) == np.sign(episode.recorded_TA[-1, 0])
        for episode in episodes
    ]
    return {"mae": float(np.mean(errors)), "right": float(np.mean(right)), "episodes": len(episodes)}


def table(results: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """Mean of the seeds, and the lowest and highest of them."""
    lines = ["| task | policy | right side | error |", "|---|---|---|---|"]
    for task, policies in results.items():
        for policy, runs in policies.items():
            right, errors = [100 * run["right"] for run in runs], [run["mae"] for run in runs]
            lines.append(
                f"| {task} | {policy} "
                f"| {statistics.mean(right):.0f} % ({min(right):.0f} to {max(right):.0f}) "
                f"| {statistics.mean(errors):.3f} ({min(errors):.3f} to {max(errors):.3f}) |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, write the results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="what make_tasks.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="runs and reports")
    parser.add_argument("--results", type=Path, help="JSON of all results (default: OUT/memory_tasks.json)")
    parser.add_argument("--steps", type=int, default=200, help="of each run")
    parser.add_argument("--base-steps", type=int, default=300, help="of what they start from")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=POLICIES, default=list(POLICIES))
    parser.add_argument("--policies", nargs="+", help="some of a task's; all by default")
    given = parser.parse_args()
    torch.set_num_threads(1)
    base = given.out / "card" / "base"
    if not (base / "config.json").exists():
        shutil.rmtree(base.parent, ignore_errors=True)
        options = ["--policy.type=pi05_comet"]
        trained = train("card", options, 0, given.data, base.parent / "train", given.base_steps)
        shutil.copytree(trained, base.with_name("partial"))
        base.with_name("partial").rename(base)
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for task in given.tasks:
        for policy in POLICIES[task]:
            if given.policies is None or policy in given.policies:
                runs = [
                    measure(task, policy, seed, base, given.data, given.out, given.steps)
                    for seed in given.seeds
                ]
                results.setdefault(task, {})[policy] = runs
    content = {"base_steps": given.base_steps, "steps": given.steps, "batch_size": 16, "seeds": given.seeds}
    content["results"] = results
    write_atomically(given.results or given.out / "memory_tasks.json", to_json(content))
    print(table(results))


if __name__ == "__main__":
    main()
