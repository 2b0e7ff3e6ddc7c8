"""`lerobot-plugins diagnose-ddp`: whether several processes of this machine can train together."""

import argparse
import json
import textwrap
from typing import TYPE_CHECKING

from lerobot_plugins.errors import ZooError

if TYPE_CHECKING:
    from lerobot_plugins.diagnosis.processes import ProcessesReport

SCHEMA_VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    backends = ("auto", "nccl", "gloo")
    parser.add_argument(
        "--backend", choices=backends, default="auto", help="(default: nccl where GPUs suffice)"
    )
    parser.add_argument("--world", type=int, metavar="N", help="processes (default: one for each GPU, or 2)")
    parser.add_argument("--port", type=int, help="where they meet (default: a free one)")
    seconds = "without a step is a hang (default: 60)"
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help=seconds)
    size = "of the all-reduce that measures the bandwidth (default: 64)"
    parser.add_argument("--megabytes", type=int, default=64, metavar="MB", help=size)
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when something is wrong."""
    for name, least in (("world", 1), ("timeout", 1), ("megabytes", 1), ("port", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise ZooError(f"--{name} is too small", got=value, expected=f"at least {least}")
    from lerobot_plugins.diagnosis.processes import diagnose_processes

    report = diagnose_processes(
        arguments.backend,
        arguments.world,
        port=arguments.port,
        timeout=arguments.timeout,
        megabytes=arguments.megabytes,
    )
    if arguments.json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, **report.to_dict()}, indent=2))
    else:
        print(_text(report))
    return int(bool(report.findings))


def _text(report: "ProcessesReport") -> str:
    from lerobot_plugins.diagnosis.rank import STEPS

    facts = report.facts
    nccl = f", NCCL {facts['nccl']}" if facts["nccl"] else ""
    lines = [
        f"torch {facts['torch']}{nccl}, {len(facts['gpus'])} GPUs, {facts['cpus']} CPU cores",
        f"{report.world} ranks with {report.backend}, meeting on port {report.port}",
    ]
    lines += [f"{name}={value}" for name, value in facts["environment"].items()]
    for step in STEPS:
        done = [rank.done[step] for rank in report.ranks if step in rank.done]
        if len(done) < report.world:
            lines.append(f"failed   {step}: {len(done)} of {report.world} ranks")
            break
        wrong = any(entry.get("right") is False for entry in done)
        lines.append(f"{'wrong' if wrong else 'ok':<8} {step:<12} {_figures(step, done)}".rstrip())
    for finding in report.findings:
        lines.append(f"! {finding['detail']}")
        lines.append(textwrap.indent(f"do: {finding['do']}", "  "))
    return "\n".join(lines)


def _figures(step: str, done: list[dict]) -> str:
    if step == "gradients":
        return (
            f"equal on all ranks to {max(entry['between_ranks'] for entry in done):.1g}, "
            f"to one process with the whole batch to {max(entry['to_one_process'] for entry in done):.1g}"
        )
    if step == "bandwidth":
        speed = min(entry["gigabytes_per_second"] for entry in done)
        return f"{speed:.2f} GB/s, all-reduce of {done[0]['megabytes']} MB"
    return ""
