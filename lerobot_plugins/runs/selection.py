"""The best checkpoint of a run, by its open-loop errors on recorded episodes, never by the training loss.

    RUN/evaluation/000060/        the report of a checkpoint (see `evaluation`)
    RUN/checkpoints/best.json     the number of every checkpoint, and which is best
    RUN/checkpoints/best          relative link to it

A checkpoint whose files, dataset and episodes are those of an earlier evaluation is not evaluated again.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lerobot_plugins.evaluation.files import to_json, write_atomically
from lerobot_plugins.runs.checkpoints import Checkpoint, checkpoints_of
from lerobot_plugins.runs.replay import ReplaySource, replay
from lerobot_plugins.runs.score import less_is_better, number_of

SCHEMA_VERSION = 1
EVALUATED = "evaluated.json"
Evaluate = Callable[[Path, ReplaySource, Path], None]


@dataclass
class Selection:
    """What `best.json` holds.

    Args:
        metric: The number that ranks.
        mode: `min` or `max`.
        source: What was replayed.
        values: (checkpoint, its number or None where it is not known), earliest first.
        evaluated: Steps that were evaluated now; the others were known.
    """

    metric: str
    mode: str
    source: ReplaySource
    values: list[tuple[Checkpoint, float | None]]
    evaluated: list[int]

    @property
    def best(self) -> tuple[Checkpoint, float] | None:
        """The best checkpoint; of several equal ones the earliest. None where no number is known."""
        known = [(checkpoint, value) for checkpoint, value in self.values if value is not None]
        sign = 1 if self.mode == "min" else -1
        return min(known, key=lambda entry: (sign * entry[1], entry[0].step), default=None)

    def to_dict(self) -> dict[str, Any]:
        """The contents of `best.json`."""
        best = self.best
        return {
            "schema_version": SCHEMA_VERSION,
            "metric": self.metric,
            "mode": self.mode,
            "dataset": {"repo_id": self.source.repo_id, "episodes": list(self.source.episodes)},
            "best": {"step": best[0].step, "checkpoint": best[0].folder.name, "value": best[1]}
            if best
            else None,
            "checkpoints": [
                {"step": checkpoint.step, "checkpoint": checkpoint.folder.name, "value": value}
                for checkpoint, value in self.values
            ],
        }


def select_best(
    run: Path,
    source: ReplaySource,
    metric: str,
    mode: str | None = None,
    evaluate: Evaluate = replay,
    progress: bool = True,
) -> Selection:
    """Evaluate every checkpoint of a run that needs it, and mark the best.

    Args:
        run: The run's folder.
        source: What is replayed.
        metric: As `score.number_of` takes it.
        mode: `min` or `max`; None is what is better by the number's name.
        evaluate: Writes the report of a policy folder into a new folder.
        progress: Show a bar.

    Raises:
        ZooError: No checkpoints, no such number, or as `evaluate` raises it.
    """
    mode = mode or ("min" if less_is_better(metric) else "max")
    dataset = _fingerprint(source)
    values: list[tuple[Checkpoint, float | None]] = []
    evaluated = []
    for checkpoint in tqdm(checkpoints_of(run), unit="checkpoint", disable=not progress):
        key = {"policy_sha256": checkpoint.sha256(), **dataset}
        report = run / "evaluation" / checkpoint.folder.name
        if not _is_done(report, key):
            _evaluate(checkpoint, source, report, key, evaluate)
            evaluated.append(checkpoint.step)
        metrics = json.loads((report / "metrics.json").read_text())
        values.append((checkpoint, number_of(metrics, metric)))
    selection = Selection(metric, mode, source, values, evaluated)
    _mark(run / "checkpoints", selection)
    return selection


def _fingerprint(source: ReplaySource) -> dict[str, Any]:
    """What an evaluation depends on beside the policy."""
    digest = hashlib.sha256()
    for name in ("info.json", "stats.json"):
        path = source.root / "meta" / name
        digest.update(path.read_bytes() if path.is_file() else b"")
    return {
        "repo_id": source.repo_id,
        "episodes": list(source.episodes),
        "dataset_sha256": digest.hexdigest(),
    }


def _is_done(report: Path, key: dict[str, Any]) -> bool:
    try:
        stored = json.loads((report / EVALUATED).read_text())
        complete = json.loads((report / "metrics.json").read_text())["complete"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(complete) and stored == key


def _evaluate(
    checkpoint: Checkpoint, source: ReplaySource, report: Path, key: dict[str, Any], evaluate: Evaluate
) -> None:
    """Evaluate under a temporary name; an interrupted evaluation is begun again."""
    report.parent.mkdir(exist_ok=True)
    for left in report.parent.glob(f".{report.name}-*"):
        shutil.rmtree(left)
    partial = Path(tempfile.mkdtemp(prefix=f".{report.name}-", dir=report.parent))
    evaluate(checkpoint.policy, source, partial)
    write_atomically(partial / EVALUATED, to_json(key))
    partial.chmod(0o755)
    if report.exists():
        shutil.rmtree(report)
    os.replace(partial, report)


def _mark(folder: Path, selection: Selection) -> None:
    write_atomically(folder / "best.json", to_json(selection.to_dict()))
    link, best = folder / "best", selection.best
    if best is None:
        link.unlink(missing_ok=True)
        return
    temporary = folder / ".best.tmp"
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(best[0].folder.name)
    os.replace(temporary, link)
