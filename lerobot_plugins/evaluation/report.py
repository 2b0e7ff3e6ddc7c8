"""Everything a finished or interrupted open-loop evaluation shows, from its stored files.

    metrics.json      all numbers (see `metrics`)
    predictions.csv   recorded and executed action of every frame
    actions.png       recorded, executed and predicted actions of the first episodes
    report.html       one self-contained page

Each file is replaced as a whole; `metrics.json` comes last, so that it never describes older figures.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lerobot_plugins.evaluation import figures
from lerobot_plugins.evaluation.episodes import Episode, Run, load_episodes, load_run
from lerobot_plugins.evaluation.files import to_json, write_atomically
from lerobot_plugins.evaluation.metrics import Metrics, compute
from lerobot_plugins.evaluation.sections import SHOWN_EPISODES, report_page


def write_report(folder: Path) -> Metrics:
    """Compute the metrics of an evaluation and write all result files.

    Args:
        folder: A folder with the files of `episodes`.

    Returns:
        The contents of `metrics.json`, NaN where the file has null.

    Raises:
        ZooError: The folder holds no evaluation, or a damaged one.
    """
    run = load_run(folder)
    episodes = load_episodes(folder, run)
    metrics = compute(run, episodes)
    with figures.house_style():
        if episodes:
            overview = figures.to_png(figures.overview(run, episodes[:SHOWN_EPISODES]))
            write_atomically(folder / "actions.png", overview)
        write_atomically(folder / "report.html", report_page(run, episodes, metrics))
    write_atomically(folder / "predictions.csv", predictions_csv(run, episodes))
    write_atomically(folder / "metrics.json", to_json(metrics))
    return metrics


def predictions_csv(run: Run, episodes: Sequence[Episode]) -> str:
    """One row per frame: where it is, the recorded and the executed action; empty where not finite."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    names = [f"{kind}_{name}" for kind in ("gt", "pred") for name in run.action_names]
    writer.writerow(["dataset", "episode_index", "frame_index", "timestamp", "task", *names])
    for episode in episodes:
        values_TB = np.concatenate([episode.recorded_TA, episode.predicted_TA], axis=1)
        for frame, (timestamp, task) in enumerate(zip(episode.timestamp_T, episode.task_T, strict=True)):
            cells = [f"{value:.8g}" if np.isfinite(value) else "" for value in values_TB[frame]]
            writer.writerow([run.repo_id, episode.index, frame, f"{timestamp:.8g}", task, *cells])
    return buffer.getvalue()
