"""`lerobot-plugins convert BRIDGE ...`: one sub-command per plugin of the kind `dataset`.

A bridge's package exposes `BRIDGE`, an object with `help: str`, `add_arguments(parser)` and
`run(arguments) -> int`.
"""

import argparse

from lerobot_plugins import registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command for each bridge that can be imported; broken ones were named by the registry."""
    subparsers = parser.add_subparsers(dest="bridge", required=True, metavar="BRIDGE")
    for plugin in registry.load_kind("dataset"):
        if plugin.loaded is None:
            continue
        bridge = plugin.loaded.BRIDGE
        subparser = subparsers.add_parser(plugin.name.replace("_", "-"), help=bridge.help)
        bridge.add_arguments(subparser)
        subparser.set_defaults(run_bridge=bridge.run)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen bridge and return its exit status."""
    return int(arguments.run_bridge(arguments))
