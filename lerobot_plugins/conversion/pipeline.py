"""Steps of a datatrove pipeline: convert each shard in a task of its own, then merge all of them.

datatrove (extra `scale`) spreads tasks over the cores of a machine or the machines of a SLURM cluster, keeps
a log of each, and runs again only those that have not finished. `examples/conversion` shows both.
"""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from datatrove.pipeline.base import PipelineStep

from lerobot_plugins.conversion.shard import shard_root
from lerobot_plugins.errors import ZooError

_FINDINGS = 1


class ConvertShard(PipelineStep):
    """Convert the shard of a task's rank, out of as many as there are tasks.

    Each conversion is a process of its own: it gives its memory back, and its end tells how it went.

    Args:
        arguments: Those of `lerobot-plugins convert`, from the bridge's name on, without `--root` and shards.
        root: The folder of the whole; a shard is written to `<root>-00001-of-00004`.
    """

    type = "LeRobot"
    name = "convert a shard"

    def __init__(self, arguments: Sequence[str], root: Path) -> None:
        super().__init__()
        self.arguments = list(arguments)
        self.root = root

    def run(self, data: Iterable | None = None, rank: int = 0, world_size: int = 1) -> None:
        """Convert one shard, or continue it; one that is there already is left alone.

        Raises:
            ZooError: The conversion failed; what it said stands in the task's log.
        """
        if shard_root(self.root, rank, world_size).exists():
            self.stat_update("shards converted before")
            return
        command = [sys.executable, "-m", "lerobot_plugins.cli.main", "convert", *self.arguments]
        command += ["--root", str(self.root), "--shard", str(rank), "--num-shards", str(world_size)]
        status = subprocess.run(command, stdin=subprocess.DEVNULL).returncode  # noqa: S603
        if status not in (0, _FINDINGS):
            raise ZooError(
                f"shard {rank} of {world_size} was not converted",
                got=f"exit status {status}",
                expected="0, or 1 if episodes were left out",
                do="read what it said above, mend that, and start the same pipeline again",
            )
        self.stat_update("shards converted")
        if status == _FINDINGS:
            self.stat_update("shards with findings")


class MergeShards(PipelineStep):
    """Merge all shards; the pipeline's only task.

    Args:
        root: The folder to write, whose shards lie beside it.
        count: How many shards there are.
    """

    type = "LeRobot"
    name = "merge the shards"

    def __init__(self, root: Path, count: int) -> None:
        super().__init__()
        self.root = root
        self.count = count

    def run(self, data: Iterable | None = None, rank: int = 0, world_size: int = 1) -> None:
        """Merge, or continue merging; a merged dataset is left alone.

        Raises:
            ZooError: A shard is missing, or there is more than one task.
        """
        from lerobot_plugins.conversion.merging import merge_datasets

        if world_size != 1:
            raise ZooError("shards are merged by one task", got=f"{world_size} tasks", expected=1)
        if self.root.exists():
            self.stat_update("datasets merged before")
            return
        merge_datasets([shard_root(self.root, number, self.count) for number in range(self.count)], self.root)
        self.stat_update("datasets merged")
