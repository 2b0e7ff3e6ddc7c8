"""What was predicted, frame by frame: `predictions.csv` for programs, `inference_log.txt` to read.

Shapes: N rows, T frames of an episode, A action dimensions.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lerobot_plugins.evaluation.episodes import Episode, Run
from lerobot_plugins.evaluation.metrics import Metrics
from lerobot_plugins.evaluation.scores import ActionRange, bin_index

# One column per action dimension each: raw, normalised to [-1, 1] by the dataset's range, and binned.
KINDS = ("gt", "pred", "gt_norm", "pred_norm", "gt_bin", "pred_bin")
BINS = 256


def column_names(action_names: Sequence[str]) -> list[str]:
    """The names of the columns of `columns`."""
    return [f"{kind}_{name}" for kind in KINDS for name in action_names]


def columns(recorded_NA: np.ndarray, predicted_NA: np.ndarray, action_range: ActionRange) -> np.ndarray:
    """(N, 6 A) values of `KINDS`, each for all dimensions.

    NaN where the action is not known or not finite, and in normalised columns of dimensions that are
    constant in the dataset.
    """
    raw = [np.asarray(recorded_NA, np.float64), np.asarray(predicted_NA, np.float64)]
    normalized = [_spread(x_NA, action_range) for x_NA in raw]
    return np.concatenate([*raw, *normalized, *(bin_index(x_NA, BINS) for x_NA in normalized)], axis=1)


def predictions_csv(run: Run, episodes: Sequence[Episode]) -> str:
    """One row per frame: where it is, the recorded and the executed action; empty where not finite."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    place = ["dataset", "episode_index", "frame_index", "timestamp", "task"]
    writer.writerow([*place, *column_names(run.action_names)])
    for episode in episodes:
        values_TK = columns(episode.recorded_TA, episode.predicted_TA, run.action_range)
        for frame, (timestamp, task) in enumerate(zip(episode.timestamp_T, episode.task_T, strict=True)):
            cells = [f"{value:.8g}" if np.isfinite(value) else "" for value in values_TK[frame]]
            writer.writerow([run.repo_id, episode.index, frame, f"{timestamp:.8g}", task, *cells])
    return buffer.getvalue()


def inference_log(run: Run, episodes: Sequence[Episode], metrics: Metrics) -> str:
    """How the evaluation was made and what it warns of, then a line per frame: the executed action in raw
    units, its normalised mean absolute error, where a chunk was predicted, and the subtask it follows."""
    counts = metrics["counts"]
    lines = [
        f"command: {run.command}",
        f"started: {run.started}",
        f"versions: {', '.join(f'{name} {version}' for name, version in run.versions.items())}",
        f"dataset: {run.repo_id}, {run.fps:g} fps, statistics {run.statistics_sha256 or 'unknown'}",
        f"episodes: {counts['episodes']} of {counts['episodes_chosen']}, {counts['frames']} frames",
        f"actions: {' '.join(run.action_names)}",
        *(f"warning: {text}" for text in metrics["warnings"]),
    ]
    for episode in episodes:
        lines += ["", *_episode_lines(run, episode)]
    return "\n".join(lines) + "\n"


def _episode_lines(run: Run, episode: Episode) -> Iterator[str]:
    normalize = run.action_range.normalize
    error_TV = abs(normalize(episode.predicted_TA) - normalize(episode.recorded_TA))
    length_of = dict(zip(episode.chunk_start_C.tolist(), episode.chunk_lengths.tolist(), strict=True))
    subtask_of = dict(episode.subtasks or [])
    task = None
    for frame, predicted_A in enumerate(episode.predicted_TA):
        if episode.task_T[frame] != task:
            task = episode.task_T[frame]
            yield f"episode {episode.index}: {task}"
        error = f"{error_TV[frame].mean():.4f}" if error_TV.shape[1] else "-"
        chunk = f"  chunk of {length_of[frame]}" if frame in length_of else ""
        subtask = f"  subtask {subtask_of[frame]!r}" if frame in subtask_of else ""
        place = f"frame {frame:5d} {episode.timestamp_T[frame]:9.3f} s"
        yield f"{place}  error {error}  action {_numbers(predicted_A)}{chunk}{subtask}"


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.5g}" for value in values)


def _spread(x_NA: np.ndarray, action_range: ActionRange) -> np.ndarray:
    """Normalised values in all A columns, NaN in those that are constant in the dataset."""
    spread_NA = np.full(x_NA.shape, np.nan)
    spread_NA[:, action_range.varying] = action_range.normalize(x_NA)
    return spread_NA
