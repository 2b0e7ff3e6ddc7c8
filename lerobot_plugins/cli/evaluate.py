"""`lerobot-plugins evaluate`: every checkpoint of a run on recorded episodes, and which one is best."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerobot_plugins.cli.dataset_folder import dataset_folder
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation.summary import number, text_table

if TYPE_CHECKING:
    from lerobot_plugins.runs.replay import ReplaySource


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="a run of lerobot-train")
    parser.add_argument(
        "--select-best",
        default="mae",
        metavar="NUMBER",
        help="of metrics.json, such as mae (executed, normalised; the default) or chunk.raw.mse",
    )
    parser.add_argument("--mode", choices=("min", "max"), help="what is better (default: by the number)")
    parser.add_argument("--root", type=Path, help="the dataset's folder (default: that of the training)")
    parser.add_argument("--repo-id", metavar="USER/NAME", help="the dataset's name")
    parser.add_argument(
        "--episodes",
        type=int,
        nargs="+",
        metavar="N",
        help="(default: those the training left out, if it named episodes, else all)",
    )
    parser.add_argument("--batch-size", type=int, default=1, help="episodes at a time (default: 1)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the policies' own)")
    parser.add_argument(
        "--save-predictions",
        action="store_true",
        help="of the best checkpoint a chunk for every frame, as CSV and Parquet",
    )
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="of each of those (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of those (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when no checkpoint has the number, because predictions are not finite."""
    # LeRobot takes seconds to import.
    from lerobot_plugins.runs.replay import replay
    from lerobot_plugins.runs.selection import select_best

    source = _source(arguments)
    print(f"{source.repo_id} in {source.root}, episodes {', '.join(map(str, source.episodes))}")
    selection = select_best(
        arguments.run_dir,
        source,
        arguments.select_best,
        arguments.mode,
        partial(replay, batch_size=arguments.batch_size, device=arguments.device),
    )
    best = selection.best
    rows = [
        [
            str(checkpoint.step),
            number(value),
            "now" if checkpoint.step in selection.evaluated else "before",
            "best" if best and checkpoint is best[0] else "",
        ]
        for checkpoint, value in selection.values
    ]
    print(text_table(["step", selection.metric, "evaluated", ""], rows))
    if best is None:
        print(f"no checkpoint has a finite {selection.metric}")
        return 1
    print(f"best: {arguments.run_dir / 'checkpoints/best/pretrained_model'}")
    if arguments.save_predictions:
        from lerobot_plugins.inference.dataset_rows import write_predictions

        folder = arguments.run_dir / "evaluation" / best[0].folder.name
        rows_written = write_predictions(
            best[0].policy, source, folder, arguments.samples, arguments.seed, arguments.device
        )
        print(f"predictions: {folder}/chunks.csv and chunks.parquet, {rows_written} rows")
    return 0


def _source(arguments: argparse.Namespace) -> "ReplaySource":
    from lerobot_plugins.runs.checkpoints import checkpoints_of
    from lerobot_plugins.runs.replay import ReplaySource

    trained: dict[str, Any] = checkpoints_of(arguments.run_dir)[-1].train_config().get("dataset") or {}
    own = arguments.root is None and arguments.repo_id is None
    if own:
        arguments.root = Path(trained["root"]) if trained.get("root") else None
        arguments.repo_id = trained.get("repo_id")
    root = dataset_folder(arguments)
    info = root / "meta" / "info.json"
    if not info.is_file():
        raise ZooError(
            f"{root} holds no LeRobot dataset",
            got="no meta/info.json",
            expected="the recorded episodes to evaluate on",
            do="pass --root=DIR or --repo-id=USER/NAME",
        )
    every = range(int(json.loads(info.read_text())["total_episodes"]))
    held_out = [episode for episode in every if episode not in (trained.get("episodes") or ())]
    episodes = arguments.episodes or (held_out if own and held_out else list(every))
    return ReplaySource(arguments.repo_id or root.name, root, episodes)
