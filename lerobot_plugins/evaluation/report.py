"""Everything a finished or interrupted open-loop evaluation shows, from its stored files.

    metrics.json      all numbers (see `metrics`)
    predictions.csv   recorded and executed action of every frame: raw, normalised, binned
    inference_log.txt how it was made, warnings, a line per frame
    actions.png       recorded, executed and predicted actions of the first episodes
    report.html       one self-contained page

Each file is replaced as a whole; `metrics.json` comes last, so that it never describes older figures.
"""

from pathlib import Path

from lerobot_plugins.evaluation import figures
from lerobot_plugins.evaluation.episodes import load_episodes, load_run
from lerobot_plugins.evaluation.files import to_json, write_atomically
from lerobot_plugins.evaluation.metrics import Metrics, compute
from lerobot_plugins.evaluation.predictions import inference_log, predictions_csv
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
    write_atomically(folder / "inference_log.txt", inference_log(run, episodes, metrics))
    write_atomically(folder / "metrics.json", to_json(metrics))
    return metrics
