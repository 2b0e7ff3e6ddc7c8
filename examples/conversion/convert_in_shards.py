"""Convert a large set in shards and merge them: on the cores of this machine, or on a SLURM cluster.

    pip install 'lerobot_policy_zoo[scale]'

    python examples/conversion/convert_in_shards.py --root out/xarm --shards 8 --local 4 \
        vla-parquet /data/rows --fps 10 --repo-id me/xarm --workers 1

    python examples/conversion/convert_in_shards.py --root /shared/out/xarm --shards 200 --partition cpu \
        vla-parquet /shared/rows --fps 10 --repo-id me/xarm --workers 4 --on-error quarantine

What follows the options is that of `lerobot-plugins convert`. Start it again after a failure: shards that
are there are left alone, and one that was interrupted continues. On a cluster, `--root` and the source must
lie on a file system that all nodes share; run it on a login node.
"""

import argparse
from pathlib import Path
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor

from lerobot_plugins.conversion.pipeline import ConvertShard, MergeShards


def run_here(arguments: argparse.Namespace) -> None:
    """Convert with some processes at a time, then merge."""
    convert = ConvertShard(arguments.conversion, arguments.root)
    LocalPipelineExecutor(
        [convert],
        tasks=arguments.shards,
        workers=arguments.local,
        logging_dir=str(arguments.logs / "convert"),
    ).run()
    merge = MergeShards(arguments.root, arguments.shards)
    LocalPipelineExecutor([merge], tasks=1, logging_dir=str(arguments.logs / "merge")).run()


def submit(arguments: argparse.Namespace) -> None:
    """Submit an array of conversions, and a merge that waits for all of them."""
    shared: dict[str, Any] = {
        "partition": arguments.partition,
        "time": arguments.time,
        "cpus_per_task": arguments.cpus,
        "mem_per_cpu_gb": arguments.mem_per_cpu_gb,
        "qos": arguments.qos,
        "env_command": arguments.env_command,
    }
    convert = SlurmPipelineExecutor(
        [ConvertShard(arguments.conversion, arguments.root)],
        tasks=arguments.shards,
        workers=arguments.parallel,
        job_name="convert",
        logging_dir=str(arguments.logs / "convert"),
        **shared,
    )
    SlurmPipelineExecutor(
        [MergeShards(arguments.root, arguments.shards)],
        tasks=1,
        depends=convert,
        job_name="merge",
        logging_dir=str(arguments.logs / "merge"),
        **shared,
    ).run()


def main(argv: list[str] | None = None) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--root", type=Path, required=True, help="the dataset to write")
    parser.add_argument("--shards", type=int, required=True, help="how many")
    parser.add_argument("--logs", type=Path, help="datatrove's logs (default: ROOT-logs)")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--local", type=int, metavar="N", help="here, N shards at a time")
    where.add_argument("--partition", help="on this partition of a SLURM cluster")
    parser.add_argument("--parallel", type=int, default=-1, help="SLURM: shards at a time (default: all)")
    parser.add_argument("--time", default="04:00:00", help="SLURM: time limit (default: 04:00:00)")
    parser.add_argument("--cpus", type=int, default=4, help="SLURM: cores for a shard (default: 4)")
    parser.add_argument("--mem-per-cpu-gb", type=int, default=4, help="SLURM: memory (default: 4)")
    parser.add_argument("--qos", default="", help="SLURM: quality of service (default: the cluster's)")
    parser.add_argument(
        "--env-command", help="SLURM: what a job runs first, such as 'source .venv/bin/activate'"
    )
    parser.add_argument("conversion", nargs=argparse.REMAINDER, help="the arguments of `convert`")
    arguments = parser.parse_args(argv)
    arguments.logs = arguments.logs or arguments.root.with_name(f"{arguments.root.name}-logs")
    if arguments.local is None:
        submit(arguments)
    else:
        run_here(arguments)


if __name__ == "__main__":
    main()
