"""`lerobot-plugins report DIR`: rebuild the report of an open-loop evaluation, or compare several."""

import argparse
from pathlib import Path

from lerobot_plugins.evaluation.report import write_report
from lerobot_plugins.evaluation.summary import comparison, summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="report_dir of an evaluation with --env.type=dataset_replay; several give one comparison table",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when a report is incomplete or has non-finite predictions."""
    reports = [(str(folder), write_report(folder)) for folder in arguments.folders]
    if len(reports) == 1:
        print(summary(reports[0][1]))
    else:
        print(comparison(reports))
    print()
    findings = 0
    for folder, metrics in reports:
        print(f"report: {folder}/report.html")
        bad = metrics["counts"]["non_finite"]
        bad_plans = metrics["plan"]["non_finite"]["values"] if metrics["plan"] else 0
        if not metrics["complete"] or bad["executed_values"] or bad["chunk_values"] or bad_plans:
            findings = 1
        for warning in metrics["warnings"]:
            print(f"  {warning}")
    return findings
