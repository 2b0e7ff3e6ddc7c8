"""Recipes: each script runs to its end against commands that only write down how they were called, and every
option is one that the real command knows."""

import os
import stat
import subprocess
from pathlib import Path

import draccus
import pytest
from lerobot.configs.eval import EvalPipelineConfig
from lerobot.configs.train import TrainPipelineConfig

from lerobot_plugins.checkpoints.first import FirstCheckpoint
from lerobot_plugins.cli.main import parse

RECIPES = sorted((Path(__file__).parents[2] / "examples").glob("*/*.sh"))
SAMPLE = Path(__file__).parents[2] / "examples" / "sample_data" / "lerobot" / "libero_sample"
COMMANDS = ("lerobot-plugins", "lerobot-train", "lerobot-eval", "accelerate")
SCRIPT = """#!/bin/sh
for word in "$(basename "$0")" "$@"; do printf "%s\\n" "$word" >> "$CALLS"; done
echo "--end--" >> "$CALLS"
"""


def calls_of(recipe: Path, folder: Path, **environment: str) -> list[list[str]]:
    """The commands of a recipe in order, word by word."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for name in COMMANDS:
        (bin_folder / name).write_text(SCRIPT)
        (bin_folder / name).chmod(stat.S_IRWXU)
    calls = folder / "calls"
    given = {"RLDS": "rlds", "DATA": "data", "OUT": "out", "SIMULATOR": "lerobot-eval"} | environment
    path = f"{bin_folder}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", str(recipe)],
        check=True,
        cwd=folder,
        env=os.environ | given | {"CALLS": str(calls), "PATH": path},
    )
    parts = calls.read_text().split("--end--\n")
    return [part.splitlines() for part in parts if part]


def require_known(words: list[str]) -> str:
    """Parse a command as the real one does, without running it; returns what kind it is."""
    if words[0] == "accelerate":
        start = next(i for i, word in enumerate(words) if word.endswith("lerobot-train"))
        words = ["lerobot-train", *words[start + 1 :]]
    name, options = words[0], words[1:]
    if name == "lerobot-train":
        # LeRobot takes a path out before it parses, and finds the type in the checkpoint.
        typed = ["--policy.type=waypoint_vla" if o.startswith("--policy.path=") else o for o in options]
        config = draccus.parse(TrainPipelineConfig, args=typed)
        assert config.policy.type in ("waypoint_vla", "pi05_comet", "paligemma_flow", "act")
        assert config.policy.get_scheduler_preset() is None or config.policy.get_optimizer_preset()
    elif name == "lerobot-eval":
        typed = ["--policy.type=waypoint_vla" if o.startswith("--policy.path=") else o for o in options]
        if "--env.type=dataset_replay" in typed:  # it opens its dataset, which the recipe would have made
            typed += [f"--env.root={SAMPLE}", "--env.episodes=[0]"]
        draccus.parse(EvalPipelineConfig, args=typed)
    elif options[:2] == ["checkpoint", "init"]:
        draccus.parse(FirstCheckpoint, args=options[2:])
    else:
        parse(options)
    return " ".join([name, *(options[:1] if name == "lerobot-plugins" else [])])


@pytest.mark.parametrize("published", ["0", "1"])
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_command_is_one_that_exists(recipe, published, tmp_path):
    kinds = [require_known(words) for words in calls_of(recipe, tmp_path, PUBLISHED=published)]
    assert "lerobot-train" in kinds


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_says_what_it_needs(recipe, tmp_path):
    """Started without its data it stops at once, and names the variable."""
    bare = {name: value for name, value in os.environ.items() if name not in ("RLDS", "DATA")}
    run = subprocess.run(["bash", str(recipe)], cwd=tmp_path, env=bare, capture_output=True, text=True)
    assert run.returncode != 0
    assert "name the folder of" in run.stderr
    assert not any(tmp_path.iterdir())
