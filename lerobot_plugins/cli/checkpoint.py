"""`lerobot-plugins checkpoint ...`: policy checkpoints."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerobot_plugins.cli.host_options import parse_host_options

if TYPE_CHECKING:
    from lerobot_plugins.checkpoints.inspection import Inspection

DTYPES = ("float32", "bfloat16")
HELP = {
    "init": "write an untrained policy, the base that LoRA needs; takes --policy.*, --dataset.*, --output, "
    "--seed",
    "import-openpi": "make a LeRobot policy of an openpi checkpoint, JAX or PyTorch; takes --policy.*, "
    "--dataset.*",
    "export-openpi": "make an openpi PyTorch checkpoint of a pi0.5 policy",
    "inspect": "list the tensors of a checkpoint of any kind and what is wrong with it",
    "card": "write the model card anew: data, statistics, licences, limits, and metrics if they are given",
    "merge-lora": "make one plain policy of a LoRA adapter and its base",
    "export": "make a plain policy of a trained one, with --ema of its averaged weights",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    subparsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    added = {name: subparsers.add_parser(name, help=text, description=text) for name, text in HELP.items()}
    added["init"].set_defaults(takes_host_options=True)
    added["import-openpi"].set_defaults(takes_host_options=True)
    for name in ("import-openpi", "export-openpi", "inspect", "card", "merge-lora", "export"):
        added[name].add_argument("path", type=Path, help="the checkpoint")
    for name in ("import-openpi", "export-openpi", "merge-lora", "export"):
        added[name].add_argument(
            "--output", type=Path, required=True, metavar="DIR", help="the folder to write"
        )
    for name in ("import-openpi", "export-openpi"):
        added[name].add_argument("--dtype", choices=DTYPES, default="float32", help="of the written weights")
        added[name].add_argument("--asset-id", metavar="ID", help="the statistics: assets/ID/norm_stats.json")
    importing = added["import-openpi"]
    importing.add_argument(
        "--robot", metavar="NAME", help="r1_pro: the features of BEHAVIOR-1K, no dataset needed"
    )
    importing.add_argument(
        "--stats",
        choices=("checkpoint", "dataset"),
        default="checkpoint",
        help="whose statistics normalise state and action (default: the checkpoint's)",
    )
    added["card"].add_argument(
        "--metrics", type=Path, metavar="FILE", help="metrics.json of an evaluation with dataset_replay"
    )
    added["inspect"].add_argument("--json", action="store_true", help="everything, as JSON")
    added["export"].add_argument("--ema", action="store_true", help="the averaged weights become the weights")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen sub-command."""
    from lerobot_plugins import registry

    registry.load_host_plugins()
    actions = {
        "init": _init,
        "import-openpi": _import_openpi,
        "export-openpi": _export_openpi,
        "inspect": _inspect,
        "card": _card,
        "merge-lora": _merge_lora,
        "export": _export,
    }
    return actions[arguments.action](arguments)


def _init(arguments: argparse.Namespace) -> int:
    from lerobot_plugins.checkpoints.first import FirstCheckpoint, write_first_checkpoint

    folder = write_first_checkpoint(parse_host_options(FirstCheckpoint, arguments.host_options))
    print(
        f"wrote {folder}; train an adapter on it with: lerobot-train --policy.path={folder} --peft.r=16 ..."
    )
    return 0


def _import_openpi(arguments: argparse.Namespace) -> int:
    import torch

    from lerobot_plugins.checkpoints.import_openpi import ImportOptions, import_openpi

    host_options = arguments.host_options
    if not any(option.startswith("--policy.type") for option in host_options):
        host_options = ["--policy.type=pi05_comet", *host_options]
    folder = import_openpi(
        arguments.path,
        arguments.output,
        parse_host_options(ImportOptions, host_options),
        robot=arguments.robot,
        asset_id=arguments.asset_id,
        stats_from=arguments.stats,
        dtype=getattr(torch, arguments.dtype),
    )
    print(f"wrote {folder}; the origin of every tensor is in {folder / 'proof.json'}")
    print(f"train with: lerobot-train --policy.path={folder} ...")
    return 0


def _export_openpi(arguments: argparse.Namespace) -> int:
    import torch

    from lerobot_plugins.checkpoints.export_openpi import export_openpi

    dtype = getattr(torch, arguments.dtype)
    folder = export_openpi(arguments.path, arguments.output, dtype, arguments.asset_id)
    print(f"wrote {folder}; the expert's language head, which openpi loads and never uses, is zeros")
    return 0


def _merge_lora(arguments: argparse.Namespace) -> int:
    from lerobot_plugins.checkpoints.merge_lora import merge_lora

    layers = merge_lora(arguments.path, arguments.output)
    print(f"wrote {arguments.output}: {layers} adapted layers merged into their base")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from lerobot_plugins.checkpoints.plain import export_plain

    averaged = export_plain(arguments.path, arguments.output, arguments.ema)
    print(
        f"wrote {arguments.output}: " + (f"{averaged} averaged tensors" if arguments.ema else "raw weights")
    )
    return 0


def _card(arguments: argparse.Namespace) -> int:
    from lerobot.policies import get_policy_class

    from lerobot_plugins.checkpoints.card import checkpoint_card
    from lerobot_plugins.checkpoints.policy_folder import read_config
    from lerobot_plugins.evaluation.files import write_atomically

    folder: Path = arguments.path
    config = read_config(folder)
    policy_class = get_policy_class(config.type)
    base = policy_class.base_weights(config) if hasattr(policy_class, "base_weights") else None
    card = checkpoint_card(folder, base, arguments.metrics)
    write_atomically(folder / "README.md", card.content)
    print(f"wrote {folder / 'README.md'}")
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    from lerobot_plugins.checkpoints.inspection import inspect

    found = inspect(arguments.path)
    findings = found.all_findings()
    if arguments.json:
        content: dict[str, Any] = found.to_json() | {"all_findings": findings}
        print(json.dumps(content, indent=1))
    else:
        _print(found, list_tensors=found.kind != "run")
        for finding in findings:
            print(f"! {finding}")
    return 1 if findings else 0


def _print(found: "Inspection", list_tensors: bool, indent: str = "") -> None:
    print(f"{indent}{found.path.name or found.path}: {found.kind}")
    for name, value in found.facts.items():
        print(f"{indent}  {name}: {value}")
    if found.tensors:
        values = ", ".join(f"{count:,} {dtype}" for dtype, count in found.totals().items())
        print(f"{indent}  {len(found.tensors)} tensors: {values}")
    if list_tensors:
        for name, count, shape, dtype in found.collapsed():
            times = f"{count} x " if count > 1 else ""
            print(f"{indent}    {name}  {times}{shape} {dtype}")
    for part in found.parts:
        _print(part, list_tensors, indent + "  ")
