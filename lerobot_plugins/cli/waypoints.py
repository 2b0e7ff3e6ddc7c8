"""`lerobot-plugins waypoints`: make, import, export, draw and summarise the waypoints of a dataset."""

import argparse
import os
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lerobot_plugins.cli.dataset_folder import dataset_folder
from lerobot_plugins.errors import ZooError
from lerobot_plugins.waypoints.dataset import load_waypoints, make_waypoints, waypoints_path
from lerobot_plugins.waypoints.rule import PRESETS, WaypointRule
from lerobot_plugins.waypoints.summary import summarise
from lerobot_plugins.waypoints.table import Waypoints

# What an expert of 32 actions can carry; counted where a table has no limit of its own.
_LIMIT = 32
_UNLIMITED = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, help="the dataset's folder")
    parser.add_argument(
        "--repo-id", metavar="USER/NAME", help="the dataset's name; its folder is LeRobot's own"
    )
    parser.add_argument("--robot", choices=(*PRESETS, "free"), help="whose dimensions and threshold to use")
    parser.add_argument("--threshold", type=float, help="largest distance to a segment, in raw units")
    parser.add_argument(
        "--arms", nargs="+", type=_dims, help="state dimensions of each arm, such as: 0-5 7-12"
    )
    parser.add_argument("--gripper-dims", type=_dims, help="action dimensions of the grippers, such as: 6,13")
    parser.add_argument("--gripper-atol", type=float, help="larger changes of a gripper are waypoints")
    parser.add_argument(
        "--max-duration", type=_duration, help="longest segment in frames, or none (default: 32)"
    )
    parser.add_argument("--state-key", help="the state's feature (default: observation.state)")
    parser.add_argument("--action-key", help="the action's feature (default: action)")
    parser.add_argument("--name", help="meta/waypoints/NAME.json of the dataset (default: the robot)")
    parser.add_argument("--overwrite", action="store_true", help="replace waypoints of this name")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="worker processes")
    parser.add_argument("--import-from", type=Path, metavar="FILE", help="take a waypoint_indices.json")
    parser.add_argument("--export-to", type=Path, metavar="FILE", help="write a waypoint_indices.json")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw an episode to a .png or .svg file")
    parser.add_argument("--episode", type=int, default=0, help="the episode to draw (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when segments are longer than the limit."""
    if arguments.workers < 1:
        raise ZooError("--workers names no number of processes", got=arguments.workers, expected="at least 1")
    if arguments.picture and arguments.picture.suffix not in (".png", ".svg"):
        raise ZooError("--picture has another format", got=arguments.picture, expected="a .png or .svg file")
    root = dataset_folder(arguments)
    name = arguments.name or arguments.robot
    if not name:
        raise ZooError("nothing says which waypoints", do="pass --robot, or --name of waypoints made before")
    table = _table(arguments, root, name)
    found = summarise(table, table.rule.max_duration or _LIMIT)
    print(f"{waypoints_path(root, name)} ({table.origin})")
    print(found.text())
    if arguments.export_to:
        from lerobot_plugins.waypoints.index_files import export_index_file

        export_index_file(table, arguments.export_to, mode=name, source=arguments.repo_id or root.name)
        print(f"exported   {arguments.export_to}")
    if arguments.picture:
        _draw(arguments, root, table)
        print(f"picture    {arguments.picture}")
    return int(found.over_limit > 0)


def _table(arguments: argparse.Namespace, root: Path, name: str) -> Waypoints:
    """The waypoints of this name: kept ones if they are what is asked for, else made or imported."""
    path = waypoints_path(root, name)
    if path.exists() and not arguments.overwrite:
        if arguments.import_from:
            raise ZooError(f"{path} exists", do="pass --overwrite to replace it, or another --name")
        table = load_waypoints(root, name)
        if arguments.robot and table.rule != (rule := _rule(arguments)):
            raise ZooError(
                f"{path} was made with another rule",
                got=_difference(table.rule, rule),
                expected=_difference(rule, table.rule),
                do="pass --overwrite to replace it, another --name, or no --robot to use it as it is",
            )
        return table
    rule = _rule(arguments)
    if arguments.import_from:
        from lerobot_plugins.waypoints.index_files import import_index_file

        limit = rule.max_duration if arguments.max_duration is not None else None
        table = import_index_file(arguments.import_from, root, rule, limit)
        table.save(path)
        return table
    return make_waypoints(root, rule, name, workers=arguments.workers)


def _rule(arguments: argparse.Namespace) -> WaypointRule:
    given = {field.name: getattr(arguments, field.name) for field in fields(WaypointRule)}
    given = {name: value for name, value in given.items() if value is not None}
    if "arms" in given:
        given["arms"] = tuple(given["arms"])
    if given.get("max_duration") == _UNLIMITED:
        given["max_duration"] = None
    if arguments.robot in PRESETS:
        return replace(PRESETS[arguments.robot], **given)
    if missing := {"arms", "threshold"} - set(given):
        raise ZooError(
            "waypoints need to know the robot",
            got=f"no {' and no '.join('--' + name for name in sorted(missing))}",
            expected=f"--robot of {', '.join(PRESETS)}, or --robot=free with --arms and --threshold",
        )
    return WaypointRule(**given)


def _difference(rule: WaypointRule, other: WaypointRule) -> str:
    mine, theirs = rule.to_dict(), other.to_dict()
    return ", ".join(f"{name} {mine[name]}" for name in mine if mine[name] != theirs[name])


def _draw(arguments: argparse.Namespace, root: Path, table: Waypoints) -> None:
    # matplotlib takes a second to import.
    from lerobot_plugins.evaluation.figures import to_png, to_svg
    from lerobot_plugins.evaluation.files import write_atomically
    from lerobot_plugins.waypoints.columns import column_names, recorded_episodes
    from lerobot_plugins.waypoints.picture import draw_episode

    episode = table[arguments.episode]
    columns = next(c for c in recorded_episodes(root, table.rule) if c.episode_index == arguments.episode)
    figure = draw_episode(columns, episode, table.rule, column_names(root, table.rule.state_key))
    write_atomically(
        arguments.picture, to_svg(figure) if arguments.picture.suffix == ".svg" else to_png(figure)
    )


def _dims(text: str) -> tuple[int, ...]:
    """`0-5` or `6,13`, or both mixed."""
    dims: list[int] = []
    for part in text.split(","):
        if not (match := re.fullmatch(r"(\d+)(?:-(\d+))?", part)):
            raise argparse.ArgumentTypeError(f"{text!r} names no dimensions; write them as 0-5 or 6,13")
        first, last = match.groups()
        dims.extend(range(int(first), int(last or first) + 1))
    return tuple(dims)


def _duration(text: str) -> Any:
    # None means "not given" to argparse.
    if text == _UNLIMITED:
        return text
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of frames nor {_UNLIMITED}")
    return int(text)
