"""Shell recipes in tests: run against commands that only write down how they were called, then understood as
the real commands understand them."""

import importlib
import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import draccus
from draccus import cfgparsing
from draccus.utils import deflatten
from lerobot.configs.eval import EvalPipelineConfig
from lerobot.configs.train import TrainPipelineConfig

from lerobot_plugins.checkpoints.first import FirstCheckpoint
from lerobot_plugins.cli.main import parse

EXAMPLES = Path(__file__).parents[2] / "examples"
SAMPLE = EXAMPLES / "sample_data" / "lerobot" / "libero_sample"
LEROBOT = {
    "lerobot-record": ("lerobot.scripts.lerobot_record", "RecordConfig"),
    "lerobot-replay": ("lerobot.scripts.lerobot_replay", "ReplayConfig"),
    "lerobot-teleoperate": ("lerobot.scripts.lerobot_teleoperate", "TeleoperateConfig"),
    "lerobot-calibrate": ("lerobot.scripts.lerobot_calibrate", "CalibrateConfig"),
    "lerobot-rollout": ("lerobot.rollout", "RolloutConfig"),
    "lerobot-edit-dataset": ("lerobot.scripts.lerobot_edit_dataset", "EditDatasetConfig"),
}
COMMANDS = ("lerobot-plugins", "lerobot-train", "lerobot-eval", *LEROBOT, "accelerate", "torchrun")
# Other programs of recipes and pages: called for nothing.
QUIET = ("pip", "git", "make", "hf", "python", "python3", "rm")
SCRIPT = """#!/bin/sh
for word in "$(basename "$0")" "$@"; do printf "%s\\0" "$word" >> "$CALLS"; done
printf "%s\\0" "--end--" >> "$CALLS"
"""
Config = TypeVar("Config")


def calls_of(recipe: Path, folder: Path, **environment: str) -> list[list[str]]:
    """The commands of a recipe in order, word by word.

    Args:
        recipe: The script.
        folder: Where it is started.
        environment: Variables of the recipe.
    """
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name in QUIET:
        (bin_folder / name).write_text("#!/bin/sh\n")
        (bin_folder / name).chmod(stat.S_IRWXU)
    for name in COMMANDS:
        (bin_folder / name).write_text(SCRIPT)
        (bin_folder / name).chmod(stat.S_IRWXU)
    calls = folder / "calls"
    calls.write_bytes(b"")
    path = f"{bin_folder}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", str(recipe)],
        check=True,
        cwd=folder,
        env=os.environ | environment | {"CALLS": str(calls), "PATH": path},
    )
    parts = calls.read_text().split("--end--\0")
    return [part.split("\0")[:-1] for part in parts if part]


def understood(config_class: type[Config], options: Sequence[str], path_type: str | None = None) -> Config:
    """Options as LeRobot's commands understand them; an unknown one or a value of a wrong type is an error.

    It is the second half of `draccus.parse`; the first writes help texts for all choices, for seconds.

    Args:
        config_class: What the command is configured by.
        options: `--name=value`.
        path_type: Type of the policy that `--policy.path` names: LeRobot takes a path out before it parses,
            finds the type in the checkpoint, and reads the policy's other options as JSON.
    """
    values: dict[str, Any] = {}
    from_path = any(option.startswith("--policy.path=") for option in options)
    for option in options:
        name, equals, value = option.removeprefix("--").partition("=")
        assert option.startswith("--"), option
        assert equals, option
        if name == "policy.path":
            name, value = "policy.type", str(path_type)
        kind = "json" if from_path and name.startswith("policy.") else "yaml"
        with draccus.config_type(kind):
            values[name] = cfgparsing.parse_string(value)
    return draccus.decode(config_class, deflatten(values, sep="."))


def require_known(words: list[str], path_type: str = "waypoint_vla") -> str:
    """Understand a command as the real one does, without running it; returns what kind it is."""
    if words[0] in ("accelerate", "torchrun"):
        start = next(i for i, word in enumerate(words) if word.rstrip(")").endswith("lerobot-train"))
        words = ["lerobot-train", *words[start + 1 :]]
    name, options = words[0], words[1:]
    if "--env.type=dataset_replay" in options:  # it opens its dataset, which the recipe would have made
        options = [*options, f"--env.root={SAMPLE}", "--env.episodes=[0]"]
    if name == "lerobot-train" and "--resume=true" in options:
        assert any(option.startswith("--config_path=") for option in options)
    elif name == "lerobot-train" and options[0].startswith("--config_path="):
        preset = EXAMPLES.parent / options[0].partition("=")[2]
        assert draccus.parse(TrainPipelineConfig, config_path=preset, args=options[1:]).policy
    elif name == "lerobot-train":
        policy = understood(TrainPipelineConfig, options, path_type).policy
        assert policy is not None
        assert policy.get_scheduler_preset() is None or policy.get_optimizer_preset()
    elif name == "lerobot-eval":
        understood(EvalPipelineConfig, options, path_type)
    elif name in LEROBOT:
        module, config = LEROBOT[name]
        understood(getattr(importlib.import_module(module), config), options, path_type)
    elif options[:2] == ["checkpoint", "init"]:
        understood(FirstCheckpoint, options[2:])
    else:
        parse(options)
    return " ".join([name, *(options[:1] if name == "lerobot-plugins" else [])])


def bare_run(recipe: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A recipe started without the variables that say where its data is."""
    bare = {name: value for name, value in os.environ.items() if name not in ("RLDS", "DATA")}
    return subprocess.run(["bash", str(recipe)], cwd=folder, env=bare, capture_output=True, text=True)
