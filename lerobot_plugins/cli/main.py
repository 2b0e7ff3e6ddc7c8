"""The command `lerobot-plugins`: thin over the rooms of the core.

Exit status: 0 good, 1 findings (something listed needs attention), 2 wrong use or wrong input; 130 and 141 as
shells count Ctrl-C and a reader that has gone.
"""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from lerobot_plugins.errors import ZooError

# command -> (module with `add_arguments(parser)` and `run(arguments) -> int`, one line of help).
# The module is imported only when its command is used.
COMMANDS = {
    "list": ("lerobot_plugins.cli.list_plugins", "the plugins of this environment and their states"),
    "doctor": ("lerobot_plugins.cli.doctor", "what is wrong with this machine, or a dataset, and what to do"),
    "convert": ("lerobot_plugins.cli.convert", "recorded robot data to a LeRobotDataset v3"),
    "merge": ("lerobot_plugins.cli.merge", "one LeRobotDataset v3 out of several of the same form"),
    "checkpoint": ("lerobot_plugins.cli.checkpoint", "write and inspect policy checkpoints"),
    "stats": ("lerobot_plugins.cli.stats", "exact statistics: compute, repair, convert, compare"),
    "waypoints": ("lerobot_plugins.cli.waypoints", "waypoints of a dataset: make, import, export, draw"),
    "diagnose-weights": ("lerobot_plugins.cli.diagnose_weights", "what became of a checkpoint's weights"),
    "diagnose-ddp": (
        "lerobot_plugins.cli.diagnose_ddp",
        "whether several processes can train together",
    ),
    "runs": ("lerobot_plugins.cli.runs", "training runs: what their logs say"),
    "translate-config": (
        "lerobot_plugins.cli.translate_config",
        "a YAML of PaliGemma-VLA as a command of lerobot-train",
    ),
    "evaluate": ("lerobot_plugins.cli.evaluate", "every checkpoint of a run on recorded episodes; the best"),
    "infer": ("lerobot_plugins.cli.infer", "the actions a policy predicts from picture files and a prompt"),
    "serve": (
        "lerobot_plugins.cli.serve",
        "a policy behind a websocket, for openpi's and OmniGibson's clients",
    ),
    "report": ("lerobot_plugins.cli.report", "rebuild the report of an open-loop evaluation"),
}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command; its `run` is among them. Wrong ones end the process with status 2."""
    parser = argparse.ArgumentParser(
        prog="lerobot-plugins", description=__doc__.splitlines()[0] if __doc__ else None
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = argv[0] if argv else None
    for name, (module_name, help_line) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_line, description=help_line)
        if name == named:
            module = importlib.import_module(module_name)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    arguments, rest = parser.parse_known_args(argv)
    if rest and not getattr(arguments, "takes_host_options", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.host_options = rest  # options in LeRobot's own spelling, such as --policy.type=...
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = parse(list(sys.argv[1:] if argv is None else argv))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        status = int(arguments.run(arguments))
        sys.stdout.flush()
        return status
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        # Long work says here how far it came and how to continue.
        print(str(interruption) or "interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `lerobot-plugins list | head`: what is still buffered has no reader, nor may Python try at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
