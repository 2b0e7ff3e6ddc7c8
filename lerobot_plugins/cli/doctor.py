"""`lerobot-plugins doctor`: what works on this machine, or what is wrong with a dataset; and what to do."""

import argparse
import contextlib
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerobot_plugins.cli.dataset_folder import dataset_folder
from lerobot_plugins.doctor.checks import run_checks
from lerobot_plugins.doctor.finding import PROBLEM, Finding
from lerobot_plugins.errors import ZooError

if TYPE_CHECKING:
    from lerobot_plugins.doctor.dataset.findings import DatasetFinding

SCHEMA_VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--json` for machines, `--online` to ask the Hub as well; a dataset by its name or folder."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--online", action="store_true", help="also ask the Hub; otherwise no network call")
    dataset = parser.add_argument_group("check a dataset instead of the machine")
    dataset.add_argument("--root", type=Path, help="the dataset's folder")
    dataset.add_argument(
        "--repo-id", metavar="USER/NAME", help="the dataset's name; its folder is LeRobot's own"
    )
    dataset.add_argument("--robot", help="the robot, where meta/info.json does not tell: fourier_gr2 ...")
    dataset.add_argument("--layout", help="the layout of its columns, where names and widths do not tell")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 1 when one of them is a problem, else 0."""
    if arguments.root or arguments.repo_id:
        return _run_dataset(arguments)
    if arguments.robot or arguments.layout:
        raise ZooError(
            "--robot and --layout describe a dataset", do="pass --root=DIR or --repo-id=USER/NAME as well"
        )
    # What a plugin prints when imported must not end up in the output.
    with contextlib.redirect_stdout(sys.stderr):
        findings = run_checks(online=arguments.online)
    return _tell(findings, [finding._asdict() for finding in findings], arguments.json, {})


def _run_dataset(arguments: argparse.Namespace) -> int:
    if arguments.online:
        raise ZooError(
            "--online is about this machine", do="leave it out: a dataset is checked from its files"
        )
    # pyarrow and the video library take a second to import.
    from lerobot_plugins.doctor.dataset.examination import examine

    root = dataset_folder(arguments)
    findings = examine(root, arguments.robot, arguments.layout, progress=not arguments.json)
    dataset = {"dataset": {"root": str(root), "repo_id": arguments.repo_id}}
    return _tell(findings, [finding.to_dict() for finding in findings], arguments.json, dataset)


def _tell(
    findings: "Sequence[Finding | DatasetFinding]",
    listed: list[dict[str, Any]],
    as_json: bool,
    head: dict[str, Any],
) -> int:
    if as_json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, **head, "findings": listed}, indent=2))
    else:
        print("\n".join(as_text(finding) for finding in findings))
    return int(any(finding.state == PROBLEM for finding in findings))


def as_text(finding: "Finding | DatasetFinding") -> str:
    """State, name and detail on one line, what to do below."""
    text = f"{finding.state:<8} {finding.name:<13} {finding.detail}"
    if finding.do:
        text += "\n" + textwrap.indent(f"do: {finding.do}", " " * 23)
    return text
