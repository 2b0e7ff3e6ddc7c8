"""The checkpoints of a run of lerobot-train."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError, first_names

TRAIN_CONFIG = "train_config.json"


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint.

    Args:
        step: Optimizer steps when it was written.
        folder: `RUN/checkpoints/<step>`.
    """

    step: int
    folder: Path

    @property
    def policy(self) -> Path:
        """The folder that `--policy.path` takes."""
        return self.folder / "pretrained_model"

    def sha256(self) -> str:
        """Of every file of the policy, name and content."""
        digest = hashlib.sha256()
        for path in sorted(self.policy.iterdir()):
            digest.update(f"{path.name}\n".encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def train_config(self) -> dict[str, Any]:
        """What the run was started with; empty where it is not there."""
        path = self.policy / TRAIN_CONFIG
        return json.loads(path.read_text()) if path.is_file() else {}


def checkpoints_of(run: Path) -> list[Checkpoint]:
    """The checkpoints of a run, earliest first; links such as `last` do not count.

    Raises:
        ZooError: There are none.
    """
    folder = run / "checkpoints"
    found = [
        Checkpoint(int(child.name), child)
        for child in (folder.iterdir() if folder.is_dir() else ())
        if child.name.isdigit() and not child.is_symlink() and (child / "pretrained_model").is_dir()
    ]
    if not found:
        names = [child.name for child in run.iterdir()] if run.is_dir() else []
        raise ZooError(
            f"{run} holds no checkpoints",
            got=first_names(names) or "nothing",
            expected="checkpoints/<step>/pretrained_model, as lerobot-train writes them",
            do="give the --output_dir of a run",
        )
    return sorted(found, key=lambda checkpoint: checkpoint.step)
