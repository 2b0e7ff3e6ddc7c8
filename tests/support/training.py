"""Stock `lerobot-train`, called in this process."""

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import torch
from accelerate.state import AcceleratorState, GradientState
from lerobot.scripts import lerobot_train
from safetensors.torch import load_file

from lerobot_plugins.processing import runtime

TINY = (
    "--policy.type=paligemma_flow",
    "--policy.paligemma_variant=tiny",
    "--policy.action_expert_variant=tiny",
    "--policy.device=cpu",
    "--policy.dtype=float32",
    "--policy.push_to_hub=false",
)
SHORT = (
    "--batch_size=4",
    "--steps=4",
    "--save_freq=2",
    "--log_freq=1",
    "--num_workers=0",
    "--seed=1000",
    "--env_eval_freq=0",
)


@dataclass
class Run:
    """What a training run did."""

    output: Path
    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    evaluations: list[str] = field(default_factory=list)
    log: str = ""

    def checkpoint(self, step: int | str) -> Path:
        """The folder of one checkpoint."""
        return self.output / "checkpoints" / (f"{step:06d}" if isinstance(step, int) else step)

    def policy(self, step: int | str = "last") -> Path:
        """The folder that --policy.path takes."""
        return self.checkpoint(step) / "pretrained_model"


def train(root: Path, output: Path, *options: str) -> Run:
    """Train on a dataset, shortly unless the options say otherwise."""
    return lerobot_train_here(output, *command(root, output, *options))


def resume(run: Run, *options: str) -> Run:
    """Continue a run from its last checkpoint."""
    config = run.policy() / "train_config.json"
    return lerobot_train_here(run.output, f"--config_path={config}", "--resume=true", *options)


def command(root: Path, output: Path, *options: str) -> list[str]:
    """The options of a short run on a dataset; later options win."""
    given = [
        "--dataset.repo_id=local/toy",
        f"--dataset.root={root}",
        f"--output_dir={output}",
        *SHORT,
        *options,
    ]
    return list({option.split("=")[0]: option for option in given}.values())


def interrupted_after(run: Run, step: int, folder: Path) -> Run:
    """A copy of a run as a crash after one of its checkpoints leaves it."""
    shutil.copytree(run.output, folder, symlinks=True)
    copy = Run(folder)
    for later in (folder / "checkpoints").glob("0*"):
        if int(later.name) > step:
            shutil.rmtree(later)
    copy.checkpoint("last").unlink()
    copy.checkpoint("last").symlink_to(f"{step:06d}")
    config = copy.policy() / "train_config.json"
    config.write_text(config.read_text().replace(str(run.output), str(folder)))
    return copy


def lerobot_train_here(output: Path, *arguments: str) -> Run:
    """`lerobot-train` with these arguments, watched."""
    run = Run(output)
    update = lerobot_train.update_policy

    def remember(tracker, *rest, **named):
        tracker, logs = update(tracker, *rest, **named)
        run.losses.append(tracker.loss.val)
        run.gradient_norms.append(tracker.grad_norm.val)
        return tracker, logs

    with (
        _own_process(run),
        mock.patch.object(lerobot_train, "update_policy", remember),
        mock.patch.object(sys, "argv", ["lerobot-train", *arguments]),
    ):
        lerobot_train.train()
    return run


@contextlib.contextmanager
def _own_process(run: Run) -> Iterator[None]:
    """What a fresh process would give: accelerate's singletons, log handlers, generators, no run bound."""
    root = logging.getLogger()
    handlers, level, state = list(root.handlers), root.level, torch.get_rng_state()
    records: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    def init_logging(**_: object) -> None:
        root.handlers[:] = [Collector()]
        root.setLevel(logging.INFO)

    try:
        # The host's own would replace pytest's handlers.
        with mock.patch.object(lerobot_train, "init_logging", init_logging):
            yield
    finally:
        run.log = "\n".join(records)
        run.evaluations = [line.split("eval_loss=")[1] for line in records if "eval_loss=" in line]
        root.handlers[:], root.level = handlers, level
        torch.set_rng_state(state)
        runtime.bind(None, None)
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of every safetensors file below a checkpoint, named by file and key."""
    return {
        f"{path.relative_to(folder)}:{key}": value
        for path in sorted(folder.rglob("*.safetensors"))
        for key, value in load_file(path).items()
    }


def differences(one: Path, other: Path) -> list[str]:
    """Names of tensors that two checkpoints do not share to the bit."""
    first, second = tensors(one), tensors(other)
    return sorted(first.keys() ^ second.keys()) + [
        name for name in first.keys() & second.keys() if not torch.equal(first[name], second[name])
    ]
