"""`lerobot-plugins stats`: exact statistics: computed, repaired, brought to another format, compared.

Of a dataset, of episodes that were not converted, or those that a checkpoint carries. With a bridge's name,
the bridge's own arguments say which episodes.
"""

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerobot_plugins import registry
from lerobot_plugins.checkpoints.statistics_places import statistics_at
from lerobot_plugins.cli.dataset_folder import dataset_folder
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.columns import INDEX_FEATURES
from lerobot_plugins.statistics.comparison import compare
from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.exact import QUANTILES, quantile_names
from lerobot_plugins.statistics.formats import (
    FORMATS,
    format_of,
    lerobot_content,
    read_statistics_file,
    write_statistics_file,
)
from lerobot_plugins.statistics.recorded import dataset_statistics
from lerobot_plugins.statistics.remarks import Remark, remarks
from lerobot_plugins.statistics.repair import repair, stored_quantiles
from lerobot_plugins.statistics.tables import comparison_table, statistics_table

if TYPE_CHECKING:
    from lerobot_plugins.conversion.source import EpisodeSource

logger = logging.getLogger(__name__)

_PERCENTS = [round(share * 100) for share in QUANTILES.values()]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("whose statistics (or a bridge, see below)")
    source.add_argument("--root", type=Path, metavar="DIR", help="a LeRobotDataset: its folder")
    source.add_argument("--repo-id", metavar="USER/NAME", help="a LeRobotDataset in LeRobot's own folder")
    source.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="a policy: what its processors normalise with"
    )
    source.add_argument("--file", type=Path, help="a file of statistics, to be written in another format")
    parser.add_argument(
        "--in-place", action="store_true", help="write them into the dataset's meta/stats.json"
    )
    parser.add_argument(
        "--cameras", action="store_true", help="with --in-place also of colour cameras, from their pixels"
    )
    _add_shared(parser, {})
    parser.set_defaults(bridge=None)
    bridges = parser.add_subparsers(dest="bridge", metavar="BRIDGE", help="episodes as a bridge reads them")
    for plugin in registry.load_kind("dataset"):
        if plugin.loaded is None:
            continue
        bridge = plugin.loaded.BRIDGE
        subparser = bridges.add_parser(plugin.name.replace("_", "-"), help=bridge.help)
        # Before the bridge's own: it adds no arguments of a dataset to write where someone else reads.
        subparser.set_defaults(use_source=True, run_bridge=bridge.run)
        bridge.add_arguments(subparser)
        _add_shared(subparser, {"default": argparse.SUPPRESS})


def _add_shared(parser: argparse.ArgumentParser, default: dict[str, Any]) -> None:
    """What is done with the statistics; `default` keeps what was given before a bridge's name."""
    what = parser.add_argument_group("what is done with them")
    what.add_argument("--features", nargs="+", metavar="KEY", help="only these (default: all)", **default)
    what.add_argument(
        "--quantiles",
        nargs="+",
        type=_percent,
        metavar="PERCENT",
        help="whole percents (default: 1 10 50 90 99, LeRobot's)",
        **{"default": _PERCENTS} | default,
    )
    what.add_argument("--output", type=Path, metavar="FILE", help="write them to a file", **default)
    what.add_argument("--format", choices=FORMATS, help="of the file (default: by its name)", **default)
    what.add_argument("--name", help="the dataset's name in a nested file", **default)
    what.add_argument(
        "--compare",
        nargs="+",
        type=Path,
        metavar="PLACE",
        help="two datasets (what they store), checkpoints or files; or one, against the statistics computed",
        **default,
    )
    what.add_argument(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="of a number's range, for --compare (default: 0.001)",
        **{"default": 1e-3} | default,
    )
    what.add_argument("--json", action="store_true", help="print JSON instead of text", **default)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when compared statistics differ, or episodes were skipped."""
    sources = [
        name for name in ("root", "repo_id", "checkpoint", "file", "bridge") if getattr(arguments, name)
    ]
    places = arguments.compare or []
    if len(sources) > 1 or len(sources) + len(places) not in ((2,) if places else (1,)):
        raise ZooError(
            "not clear whose statistics are meant",
            got=", ".join(f"--{name.replace('_', '-')}" for name in sources) or "none",
            expected="one of --root, --repo-id, --checkpoint, --file or a bridge; with --compare two places, "
            "or one of these and one place",
        )
    if arguments.in_place and (arguments.features or sources not in (["root"], ["repo_id"])):
        raise ZooError(
            "--in-place repairs all statistics of a dataset",
            got="--features" if arguments.features else ", ".join(sources) or "none",
            expected="--root or --repo-id alone",
        )
    if arguments.cameras and not arguments.in_place:
        raise ZooError("--cameras repairs a dataset", do="pass --in-place as well")
    if len(places) == 2:
        return _compare(statistics_at(places[0]), statistics_at(places[1]), arguments)
    described, skipped = _described(arguments)
    if places:
        return _compare(described, statistics_at(places[0]), arguments) or int(skipped)
    if arguments.output:
        name = arguments.format or format_of(arguments.output)
        dataset = arguments.name or _dataset_name(arguments)
        write_statistics_file(described, arguments.output, name, dataset)
    found = remarks(described)
    if arguments.json:
        _print_json(described, found)
    elif not arguments.output and not arguments.in_place:
        print(statistics_table(described))
    if not arguments.json:
        for remark in found:
            print(f"{remark.kind:<15}{remark}")
        if arguments.output:
            print(f"wrote {arguments.output} ({name})")
    if arguments.in_place:
        change = repair(dataset_folder(arguments), described)
        change.write()
        for line in change.text() if not arguments.json else ():
            print(line)
    return int(skipped)


def _described(arguments: argparse.Namespace) -> tuple[Described, bool]:
    """The statistics, and whether episodes were skipped."""
    skipped = False
    quantiles = quantile_names(arguments.quantiles)
    if arguments.bridge:
        described, skipped = _of_bridge(arguments, quantiles)
    elif arguments.checkpoint:
        described = statistics_at(arguments.checkpoint)
    elif arguments.file:
        described = Described(read_statistics_file(arguments.file), str(arguments.file))
    else:
        root = dataset_folder(arguments)
        if arguments.in_place:
            quantiles = quantile_names([*arguments.quantiles, *stored_quantiles(root)])
        described = dataset_statistics(
            root, quantiles, features=arguments.features, progress=not arguments.json
        )
        if arguments.cameras:
            # The video library takes a second to import.
            from lerobot_plugins.statistics.recorded_images import camera_statistics

            described.stats.update(camera_statistics(root, progress=not arguments.json).stats)
        return described, False
    return described.only(arguments.features), skipped


def _of_bridge(arguments: argparse.Namespace, quantiles: Mapping[str, float]) -> tuple[Described, bool]:
    """Let the bridge open its source as for a conversion, and read the numbers of all episodes."""
    found: list[Described] = []

    def use(source: "EpisodeSource") -> int:
        # What conversions need takes a second to import.
        from lerobot_plugins.conversion.source_statistics import source_statistics

        described, damaged = source_statistics(
            source,
            str(getattr(arguments, "source", arguments.bridge)),
            quantiles,
            on_error=arguments.on_error,
            progress=not arguments.json,
        )
        found.append(described)
        for error in damaged.values():
            logger.warning("skipped %s", error)
        return int(bool(damaged))

    arguments.use_source = use
    status = arguments.run_bridge(arguments)
    if not found:
        raise ZooError(
            f"the bridge {arguments.bridge} does not hand over its episodes",
            got=f"exit status {status}",
            expected="a call of lerobot_plugins.conversion.arguments.run_conversion",
            do="convert first, and give the dataset as --root",
        )
    return found[0], bool(status)


def _dataset_name(arguments: argparse.Namespace) -> str:
    if arguments.bridge:
        return Path(getattr(arguments, "source", arguments.bridge)).resolve().name
    return (arguments.checkpoint or arguments.file or dataset_folder(arguments)).resolve().name


def _compare(one: Described, other: Described, arguments: argparse.Namespace) -> int:
    one, other = (_compared(described, arguments.features) for described in (one, other))
    comparison = compare(one, other, arguments.tolerance)
    if arguments.json:
        print(json.dumps({"one": one.origin, "other": other.origin, **comparison.to_dict()}, indent=2))
    else:
        print(f"one        {one.origin}\nother      {other.origin}")
        print(comparison_table(comparison))
    return int(not comparison.agrees)


def _compared(described: Described, features: list[str] | None) -> Described:
    """What is asked for; LeRobot's own columns only by name, since they differ between any two datasets."""
    return described.only(features or [key for key in described.stats if key not in INDEX_FEATURES])


def _print_json(described: Described, found: list[Remark]) -> None:
    content = {
        "origin": described.origin,
        "episodes": described.episodes,
        "frames": described.frames,
        "names": dict(described.names),
        "statistics": lerobot_content(described.stats),
        "remarks": [remark.to_dict() for remark in found],
    }
    print(json.dumps(content, indent=2))


def _percent(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole percent between 1 and 99")
    return int(text)
