"""`prediction.json`, `predictions.csv` and `inference_log.txt` of an inference.

Legend: W windows, H steps of a chunk, A action dimensions.
"""

import csv
import importlib.metadata
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_plugins.evaluation.files import to_json, write_atomically


@dataclass
class Inference:
    """What was predicted from files.

    Args:
        policy: The policy's folder.
        policy_type: Its type.
        prompt: The task.
        seed: Of the sampled actions.
        names: A names.
        chunks: W chunks (H, A), raw units.
        notes: What the reader should know.
        recorded: A flat recorded action or chunk, to compare the first window with.
    """

    policy: Path
    policy_type: str
    prompt: str
    seed: int
    names: list[str]
    chunks: list[np.ndarray]
    notes: list[str]
    recorded: Sequence[float] | None = None
    _versions: Sequence[str] = field(default=("lerobot", "torch", "numpy"), repr=False)

    def recorded_mae(self) -> float | None:
        """Mean absolute error of the first window's steps that were recorded; None without a recording."""
        width = len(self.names)
        if not self.recorded or len(self.recorded) % width:
            return None
        recorded_HA = np.asarray(self.recorded).reshape(-1, width)
        steps = min(len(recorded_HA), len(self.chunks[0]))
        return float(abs(self.chunks[0][:steps] - recorded_HA[:steps]).mean())

    def to_dict(self) -> dict[str, Any]:
        """The contents of `prediction.json`."""
        return {
            "schema_version": 1,
            "policy": str(self.policy),
            "type": self.policy_type,
            "prompt": self.prompt,
            "seed": self.seed,
            "names": self.names,
            "horizon": len(self.chunks[0]),
            "per_action_dim": len(self.names),
            # What a float32 holds, and no more.
            "actions": [[[float(f"{x:.8g}") for x in row] for row in chunk] for chunk in self.chunks],
            "recorded_mae": self.recorded_mae(),
            "notes": self.notes,
        }

    def to_csv(self) -> str:
        """One row per window and step."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        writer.writerow(["window", "horizon_step", *(f"pred_{name}" for name in self.names)])
        for window, chunk_HA in enumerate(self.chunks):
            for step, action_A in enumerate(chunk_HA):
                writer.writerow([window, step, *(f"{value:.8g}" for value in action_A)])
        return buffer.getvalue()

    def to_log(self) -> str:
        """Versions, seed and notes, as text."""
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in self._versions)
        lines = [f"policy: {self.policy} ({self.policy_type})", f"versions: {versions}"]
        lines += [f"prompt: {self.prompt}", f"seed: {self.seed}"]
        lines += [f"windows: {len(self.chunks)}, steps {[len(chunk) for chunk in self.chunks]}"]
        if (error := self.recorded_mae()) is not None:
            lines.append(f"mean absolute error against the recorded actions: {error:.6g}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)]) + "\n"

    def write(self, folder: Path) -> None:
        """All three files."""
        write_atomically(folder / "predictions.csv", self.to_csv())
        write_atomically(folder / "inference_log.txt", self.to_log())
        write_atomically(folder / "prediction.json", to_json(self.to_dict()))
