"""`lerobot-plugins merge A B C --output D`: one dataset out of several of the same form, or a mixture."""

import argparse
from pathlib import Path

from lerobot_plugins.errors import ZooError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", nargs="+", type=Path, help="folders of LeRobotDatasets v3, in order")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    parser.add_argument(
        "--ratios",
        nargs="+",
        type=float,
        metavar="SHARE",
        help="each dataset's share of the frames, met by repeating whole episodes; nothing is left out",
    )
    parser.add_argument(
        "--repeat",
        nargs="+",
        type=float,
        metavar="TIMES",
        help="how often each dataset is there, such as 1 2.5",
    )
    parser.add_argument(
        "--repeat-task",
        nargs="+",
        default=[],
        metavar="PATTERN=TIMES",
        help="how often frames of a task are there: stretches of them become episodes of their own, such as "
        "'pick up *=3'",
    )
    parser.add_argument(
        "--statistics-of",
        metavar="DATASET|all",
        help="whose meta/stats.json a mixture gets: all computes exact ones over its frames",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what it comes to, and write nothing")


def run(arguments: argparse.Namespace) -> int:
    """Merge; raises `ZooError` where the datasets differ."""
    from lerobot_plugins.conversion.merging import merge_datasets, plan_merge
    from lerobot_plugins.conversion.mixed_statistics import furthest, require_choice
    from lerobot_plugins.conversion.mixing import Mixing, shares
    from lerobot_plugins.conversion.staging import require_new

    mixing = Mixing(
        None if arguments.ratios is None else tuple(arguments.ratios),
        None if arguments.repeat is None else tuple(arguments.repeat),
        dict(_pair(text) for text in arguments.repeat_task),
    )
    if not arguments.dry_run:
        require_new(arguments.output)
    parts, mixture = plan_merge(arguments.dataset, mixing)
    if not mixing.is_plain or arguments.dry_run:
        print("\n".join(shares(parts, mixture, mixing)), flush=True)
    if mixture.moved:
        print(f"stretches begin up to {mixture.moved} frames early, at key frames of the videos", flush=True)
    whose = arguments.statistics_of
    if not mixing.is_plain:
        if whose is None:
            require_choice(parts)
        whose = whose or "all"
        said = "exact over all frames of the mixture" if whose == "all" else f"those of {whose}"
        print(f"statistics: {said}", flush=True)
    elif whose is None and not any(part.shard for part in parts) and (apart := furthest(parts)):
        print(f"statistics are exact over all frames; those of the datasets differ: {apart}", flush=True)
    if arguments.dry_run:
        return 0
    made = merge_datasets(
        arguments.dataset,
        arguments.output,
        mixing=mixing,
        statistics_of=None if whose in (None, "all") else Path(whose),
    )
    print(f"{made.root}: {made.episodes} episodes, {made.frames} frames")
    return 0


def _pair(text: str) -> tuple[str, float]:
    pattern, equals, times = text.rpartition("=")
    try:
        if pattern and equals:
            return pattern, float(times)
    except ValueError:
        pass
    raise ZooError("--repeat-task is not understood", got=text, expected="PATTERN=TIMES")
