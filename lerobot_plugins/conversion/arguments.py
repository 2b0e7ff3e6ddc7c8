"""The arguments that every `lerobot-plugins convert` command shares, and what they do."""

import argparse
import json
import logging
import os
import re
from pathlib import Path

from lerobot_plugins.conversion.quarantine import QUARANTINE_PATH
from lerobot_plugins.conversion.shard import Shard, shard_root
from lerobot_plugins.conversion.source import EpisodeSource
from lerobot_plugins.errors import ZooError

logger = logging.getLogger(__name__)


def add_conversion_arguments(parser: argparse.ArgumentParser, *, has_pictures: bool = True) -> None:
    """Add them to a bridge's parser; `has_pictures` where the source holds files of pictures, not videos.

    A command that reads the episodes itself has set `use_source`, see `run_conversion`: it writes no dataset.
    """
    if parser.get_default("use_source"):
        _add_reading_arguments(parser)
        return
    parser.add_argument(
        "--repo-id", required=True, metavar="USER/NAME", help="the dataset's name, e.g. local/x"
    )
    parser.add_argument(
        "--root", type=Path, help="the folder to write (default: LeRobot's own for the repo id)"
    )
    parser.add_argument(
        "--images",
        choices=("video", "jpeg") if has_pictures else ("video",),
        default="video",
        help="encode AV1 videos"
        + (", or keep the source's JPEG or PNG bytes untouched (default: video)" if has_pictures else ""),
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="worker processes (default: one for each core)",
    )
    parser.add_argument("--shard", type=int, metavar="I", help="convert only part I of --num-shards, from 0")
    parser.add_argument(
        "--num-shards",
        type=int,
        metavar="N",
        help="split the episodes into N parts, each written to ROOT-0000I-of-0000N; lerobot-plugins merge "
        "joins them",
    )
    parser.add_argument(
        "--on-error",
        choices=("stop", "skip", "quarantine"),
        default="stop",
        help="stop at a damaged episode, skip it and list it at the end, or also write file, episode and "
        "reason to meta/quarantine.json (default: stop)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be made and write nothing")
    parser.add_argument("--json", action="store_true", help="with --dry-run: print it for programs")


def run_conversion(source: EpisodeSource, arguments: argparse.Namespace) -> int:
    """Convert or preview a source; returns the exit status: 1 if episodes were skipped.

    Another command may have set `arguments.use_source`: it gets the source instead, and says the status.
    """
    if use_source := getattr(arguments, "use_source", None):
        return int(use_source(source))
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", arguments.repo_id) or ".." in arguments.repo_id:
        raise ZooError(
            "--repo-id names no dataset", got=arguments.repo_id, expected="user/name", do="correct --repo-id"
        )
    if arguments.workers < 1:
        raise ZooError(
            "--workers names no number of processes",
            got=arguments.workers,
            expected="at least 1",
            do="correct --workers",
        )
    root = arguments.root or _default_root(arguments.repo_id)
    if arguments.json and not arguments.dry_run:
        raise ZooError("--json is the form of a dry run's report", do="add --dry-run")
    if (arguments.shard is None) != (arguments.num_shards is None):
        raise ZooError("--shard and --num-shards go together", do="give both, or neither")
    if arguments.shard is not None:
        source = Shard(source, arguments.shard, arguments.num_shards)
        root = shard_root(root, arguments.shard, arguments.num_shards)
    if arguments.dry_run:
        from lerobot_plugins.conversion.preview import preview
        from lerobot_plugins.conversion.staging import require_new

        require_new(root)
        report = preview(source, images=arguments.images, on_error=arguments.on_error)
        print(json.dumps(report.table, indent=2, ensure_ascii=False) if arguments.json else report.text)
        return int(bool(report.skipped))

    from lerobot_plugins.conversion.writer import write_dataset

    made = write_dataset(
        source, root, images=arguments.images, workers=arguments.workers, on_error=arguments.on_error
    )
    print(f"{made.root}: {made.episodes} episodes, {made.frames} frames")
    for error in made.skipped.values():
        logger.warning("skipped %s", error)
    if made.skipped and arguments.on_error == "quarantine":
        logger.warning("%s says why", made.root / QUARANTINE_PATH)
    print(f"train: lerobot-train --dataset.repo_id={arguments.repo_id} --dataset.root={made.root} ...")
    return int(bool(made.skipped))


def _add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="stop at a damaged episode, or skip it and list it at the end (default: stop)",
    )
    # What bridges look at before they convert.
    parser.set_defaults(images="video", dry_run=False)


def _default_root(repo_id: str) -> Path:
    from lerobot.utils.constants import HF_LEROBOT_HOME

    return Path(HF_LEROBOT_HOME) / repo_id
