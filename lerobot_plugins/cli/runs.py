"""`lerobot-plugins runs ACTION`: training runs, before they start and afterwards."""

import argparse
from pathlib import Path

from lerobot_plugins.evaluation.files import to_json

SCHEMA_VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command for each action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    analyse = actions.add_parser(
        "analyse",
        help="what a run's log says: trend, warm-up, rate, NaN, spikes, weights that do not move",
        description="Reads what lerobot-train printed, offline wandb runs and openpi's logs.",
    )
    analyse.add_argument("path", type=Path, help="a log, or a run's --output_dir")
    analyse.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="the run's --output_dir, if the log is elsewhere",
    )
    analyse.add_argument("--output", type=Path, metavar="DIR", help="for curves.png and analysis.html")
    analyse.add_argument("--json", action="store_true", help="print JSON instead of text")
    analyse.set_defaults(act=_analyse)
    estimate = actions.add_parser(
        "estimate",
        help="the memory a training needs, before it starts; takes --policy.*, --dataset.*, --batch_size",
        description="Builds the policy with random weights; two forward passes on frames of the dataset.",
    )
    estimate.add_argument(
        "--memory", type=float, metavar="GB", help="also the largest batch for so much memory"
    )
    estimate.add_argument("--json", action="store_true", help="print JSON instead of text")
    estimate.set_defaults(act=_estimate, takes_host_options=True)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action; exit status 1 on findings."""
    return int(arguments.act(arguments))


def _estimate(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lerobot_plugins import registry

    registry.load_host_plugins()
    from lerobot_plugins.cli.host_options import decode_options
    from lerobot_plugins.runs.memory import estimate
    from lerobot_plugins.runs.planned import PlannedRun

    planned = decode_options(PlannedRun, arguments.host_options)
    found = estimate(planned.policy, planned.dataset, planned.batch_size)
    largest = None if arguments.memory is None else found.largest_batch(int(arguments.memory * 1e9))
    if arguments.json:
        content = asdict(found) | {"total": found.total, "largest_batch": largest}
        print(to_json({"schema_version": SCHEMA_VERSION, "bytes": content}), end="")
        return 0
    for name in ("weights", "gradients", "moments", "averages", "activations", "total"):
        print(f"{name:<12}{getattr(found, name) / 1e9:>9.3f} GB")
    print(f"one more row of the batch: {found.per_row / 1e9:.3f} GB")
    if largest is not None:
        print(f"the largest batch for {arguments.memory:g} GB: {largest}")
    return 0


def _analyse(arguments: argparse.Namespace) -> int:
    from lerobot_plugins.cli.doctor import as_text
    from lerobot_plugins.doctor.finding import OK
    from lerobot_plugins.runs.analysis import analyse, read_run

    history = read_run(arguments.path)
    folder = arguments.run_dir or (arguments.path if arguments.path.is_dir() else None)
    found = analyse(history, folder, progress=not arguments.json)
    written = []
    if arguments.output is not None:
        from lerobot_plugins.runs.curves import write_curves

        written = list(write_curves(history, found, arguments.output))
    if arguments.json:
        steps = [int(history.step_N[0]), int(history.step_N[-1])]
        run = {"source": str(history.source), "kind": history.kind, "steps": steps}
        listed = [finding._asdict() for finding in found]
        print(to_json({"schema_version": SCHEMA_VERSION, "run": run, "findings": listed}), end="")
    else:
        first, last = history.step_N[[0, -1]]
        print(f"{history.source}: {len(history.step_N)} logged steps, {first} to {last}")
        print("\n".join(as_text(finding) for finding in found))
        print("\n".join(str(path) for path in written), end="\n" if written else "")
    return int(any(finding.state != OK for finding in found))
