"""`lerobot-plugins checkpoint ...`: policy checkpoints."""

import argparse

INIT = "write an untrained policy, the base that LoRA needs; takes --policy.*, --dataset.*, --output, --seed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    subparsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    init = subparsers.add_parser("init", help=INIT, description=INIT)
    init.set_defaults(takes_host_options=True)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen sub-command."""
    import draccus

    from lerobot_plugins import registry
    from lerobot_plugins.checkpoints.first import FirstCheckpoint, write_first_checkpoint

    registry.load_host_plugins()
    folder = write_first_checkpoint(draccus.parse(FirstCheckpoint, args=arguments.host_options))
    print(
        f"wrote {folder}; train an adapter on it with: lerobot-train --policy.path={folder} --peft.r=16 ..."
    )
    return 0
