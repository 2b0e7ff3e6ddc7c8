"""Keeps what the players of one evaluation have finished, and writes its report.

One recorder per evaluation, shared by all environments of the batch. Nothing is written before the first
episode is in, so a run that fails earlier, as with a policy that does not fit, leaves an older report alone.
"""

import contextlib
import functools
import importlib.metadata
import itertools
import logging
import re
import shlex
import sys
from datetime import datetime
from pathlib import Path

import numpy as np

from lerobot_env_dataset_replay.recording import Recording
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.evaluation import episodes, trace
from lerobot_plugins.evaluation.episodes import Episode, Run
from lerobot_plugins.evaluation.report import write_report
from lerobot_plugins.evaluation.summary import summary

logger = logging.getLogger(__name__)

# Report folders this process has written to: a later evaluation gets a sub-folder.
_used: set[Path] = set()


class Recorder:
    """Collects finished episodes and knows their scores.

    Args:
        recording: The dataset and the chosen episodes.
        tolerance: Largest mean absolute normalised error of a successful episode.
        report_dir: Where to write, or None for a new folder under `outputs/replay`.
        players: How many environments share this recorder; the last one to close writes the report.

    Raises:
        ZooError: `report_dir` holds files that are no report of an open-loop evaluation.
    """

    def __init__(self, recording: Recording, tolerance: float, report_dir: Path | None, players: int) -> None:
        self.run = _describe(recording, tolerance)
        self.folder: Path | None = None
        self._report_dir = report_dir
        self._open_players = players
        self._score: dict[int, float] = {}
        self._success: dict[int, bool] = {}
        if report_dir is not None:
            _check_replaceable(report_dir)
        trace.start()

    @property
    def complete(self) -> bool:
        """Whether all chosen episodes are in."""
        return len(self._score) == len(self.run.episodes)

    @property
    def mean_score(self) -> float:
        """The mean score of the finished episodes, as LeRobot averages: NaN ones left out."""
        finite = [score for score in self._score.values() if np.isfinite(score)]
        return float(np.mean(finite)) if finite else float("nan")

    def success(self, episode: int) -> bool:
        """Whether a finished episode is within tolerance."""
        return self._success[episode]

    def finish(self, episode: Episode) -> None:
        """Keep one played episode on disk and its score in memory; the first one claims the report folder."""
        if self.folder is None:
            self.folder = _claim(self._report_dir, self.run)
            episodes.save_run(self.folder, self.run)
        episodes.save_episode(self.folder, episode)
        error_TA = episode.predicted_TA.astype(np.float64) - episode.recorded_TA
        normalize = self.run.action_range.normalize
        distance_TV = abs(normalize(episode.predicted_TA) - normalize(episode.recorded_TA))
        self._score[episode.index] = -float(abs(error_TA).mean())
        self._success[episode.index] = bool(distance_TV.size and distance_TV.mean() <= self.run.tolerance)

    def close(self) -> None:
        """One player has closed; the last one writes the report, if there is an episode to report."""
        self._open_players -= 1
        if self._open_players:
            return
        trace.stop()
        if self.folder is not None:
            metrics = write_report(self.folder)
            logger.info("Open-loop evaluation: %s\n%s", self.folder / "report.html", summary(metrics))
            for warning in metrics["warnings"]:
                logger.warning("%s", warning)


def _describe(recording: Recording, tolerance: float) -> Run:
    return Run(
        repo_id=recording.repo_id,
        fps=recording.fps,
        episodes=recording.episodes,
        action_names=recording.action_names,
        action_min=recording.statistics["min"],
        action_max=recording.statistics["max"],
        action_mean=recording.statistics["mean"],
        statistics_sha256=recording.statistics_sha256,
        hold_reason=recording.hold_reason,
        tolerance=tolerance,
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        versions={name: importlib.metadata.version(name) for name in ("lerobot", "torch", "numpy")},
        started=datetime.now().isoformat(timespec="seconds"),
        state_names=recording.state_names,
    )


def _check_replaceable(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not episodes.is_ours(folder))):
        raise ZooError(
            f"the report folder {folder} holds something else",
            got=first_names(path.name for path in folder.iterdir()) if folder.is_dir() else "a file",
            expected="a new or empty folder, or an earlier report, which is replaced",
            do="choose another --env.report_dir",
        )


def _claim(report_dir: Path | None, run: Run) -> Path:
    """The folder of this evaluation: new, emptied of an earlier process's report, or a sub-folder."""
    home = (report_dir or _default_folder(run.repo_id)).resolve()
    if home not in _used:
        _used.add(home)
        episodes.clear(home)
        return home
    taken = [int(m[1]) for path in home.glob("eval_*") if (m := re.fullmatch(r"eval_(\d+)", path.name))]
    folder = home / f"eval_{max(taken, default=1) + 1:04d}"
    folder.mkdir()
    return folder


@functools.cache
def _default_folder(repo_id: str) -> Path:
    """One new folder per dataset and process."""
    name = f"{repo_id.split('/')[-1]}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    for count in itertools.count(1):
        folder = Path("outputs/replay") / (name if count == 1 else f"{name}_{count}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("unreachable")
