"""`lerobot-plugins diagnose-weights`: what became of the weights of a checkpoint."""

import argparse
from pathlib import Path

from lerobot_plugins.evaluation.files import to_json

SCHEMA_VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", type=Path, help="a run, a checkpoint, a policy folder (an adapter too) or a safetensors file"
    )
    parser.add_argument(
        "--initial", type=Path, metavar="PATH", help="the checkpoint before the training; an adapter's base"
    )
    parser.add_argument(
        "--adapter",
        type=Path,
        metavar="DIR",
        help="check that the path is this LoRA adapter and its base, merged",
    )
    parser.add_argument("--tensors", action="store_true", help="a line for each tensor, not for each module")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when something is wrong."""
    # torch takes seconds to import.
    from lerobot_plugins.diagnosis.tables import weights_table
    from lerobot_plugins.diagnosis.weights import diagnose

    found = diagnose(arguments.path, arguments.initial, arguments.adapter, progress=not arguments.json)
    if arguments.json:
        print(to_json({"schema_version": SCHEMA_VERSION, **found.to_dict()}), end="")
    else:
        print(found.file)
        print(weights_table(found, by_tensor=arguments.tensors))
        for note in found.notes:
            print(note)
        for finding in found.findings:
            print(f"! {finding}")
    return int(bool(found.findings))
