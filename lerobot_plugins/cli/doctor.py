"""`lerobot-plugins doctor`: what works on this machine, and what to do about the rest."""

import argparse
import contextlib
import json
import sys
import textwrap

from lerobot_plugins.doctor.checks import run_checks
from lerobot_plugins.doctor.finding import PROBLEM, Finding

SCHEMA_VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--json` for machines, `--online` to ask the Hub as well."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--online", action="store_true", help="also ask the Hub; otherwise no network call")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 1 when one of them is a problem, else 0."""
    # What a plugin prints when imported must not end up in the output.
    with contextlib.redirect_stdout(sys.stderr):
        findings = run_checks(online=arguments.online)
    if arguments.json:
        listed = [finding._asdict() for finding in findings]
        print(json.dumps({"schema_version": SCHEMA_VERSION, "findings": listed}, indent=2))
    else:
        print("\n".join(as_text(finding) for finding in findings))
    return int(any(finding.state == PROBLEM for finding in findings))


def as_text(finding: Finding) -> str:
    """State, name and detail on one line, what to do below."""
    text = f"{finding.state:<8} {finding.name:<13} {finding.detail}"
    if finding.do:
        text += "\n" + textwrap.indent(f"do: {finding.do}", " " * 23)
    return text
