"""`lerobot-plugins list`: the plugins of this environment, loaded to see whether they work."""

import argparse
import contextlib
import json
import sys

from lerobot_plugins import registry

COLUMNS = ("type", "kind", "distribution", "version", "state")
SCHEMA_VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--json` prints `{"schema_version": 1, "plugins": [...]}` instead of a table."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Print every plugin; 1 when one of them is broken, else 0."""
    # What a plugin prints when imported must not end up in the output.
    with contextlib.redirect_stdout(sys.stderr):
        plugins = registry.list_plugins()
    rows = [describe(plugin) for plugin in plugins]
    if arguments.json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, "plugins": rows}, indent=2))
    else:
        print(as_table(rows))
    return int(any(plugin.state == registry.BROKEN for plugin in plugins))


def describe(plugin: registry.Plugin) -> dict[str, str | None]:
    """What is said about one plugin; `cause` is null unless it is broken or disabled."""
    return {
        "type": plugin.name,
        "kind": plugin.kind,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "state": plugin.state,
        "cause": plugin.cause,
    }


def as_table(rows: list[dict[str, str | None]]) -> str:
    """One line per plugin in aligned columns, the cause of a state below its line."""
    if not rows:
        return "no plugins are installed; `lerobot-plugins doctor` says why"
    header: dict[str, str | None] = {column: column.upper() for column in COLUMNS}
    widths = {column: max(len(str(row[column])) for row in [header, *rows]) for column in COLUMNS}
    lines = []
    for row in [header, *rows]:
        lines.append("  ".join(f"{row[column]:<{widths[column]}}" for column in COLUMNS).rstrip())
        if row.get("cause"):
            lines.append(f"    {row['cause']}")
    return "\n".join(lines)
