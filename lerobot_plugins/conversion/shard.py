"""A part of a source, to be converted beside the others on another machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot_plugins.conversion.source import Episode, EpisodeSource, notes_of
from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class Shard:
    """One of several runs of consecutive episodes, of nearly equal numbers; an `EpisodeSource`.

    The parts in order are the whole: merged, they are what one conversion would have made.

    Args:
        whole: The source.
        number: Which part, from 0.
        count: Into how many it is split.

    Raises:
        ZooError: There is no such part, or fewer episodes than parts.
    """

    whole: EpisodeSource
    number: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise ZooError(
                "--shard and --num-shards name no part",
                got=f"--shard {self.number} --num-shards {self.count}",
                expected="--shard from 0 to before --num-shards",
            )
        if self.count > len(self.whole):
            raise ZooError(
                "there are more shards than episodes",
                got=f"--num-shards {self.count} for {len(self.whole)} episodes",
                expected=f"at most {len(self.whole)}",
                do="lower --num-shards for all shards",
            )

    @property
    def fps(self) -> int:
        """Frames per second."""
        return self.whole.fps

    @property
    def robot_type(self) -> str:
        """LeRobot's name for the robot."""
        return self.whole.robot_type

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        """LeRobot's features."""
        return self.whole.features

    def __len__(self) -> int:
        return self._first(self.number + 1) - self._first(self.number)

    def read(self, index: int) -> Episode:
        """One episode; raises `ZooError` if it is damaged."""
        return self.whole.read(self._first(self.number) + index)

    def locate(self, index: int) -> str:
        """Where an episode lies, and its number in the whole source."""
        number = self._first(self.number) + index
        return f"{self.whole.locate(number)}, episode {number} of the source"

    def files(self, index: int) -> list[str]:
        """The files that hold an episode."""
        return self.whole.files(self._first(self.number) + index)

    def fingerprint(self) -> dict[str, Any]:
        """That of the whole, and which part this is."""
        return self.whole.fingerprint() | {"shard": [self.number, self.count]}

    def notes(self, indices: Sequence[int]) -> dict[str, Any]:
        """Those of the whole source, of this part's episodes."""
        return notes_of(self.whole, [self._first(self.number) + index for index in indices])

    def _first(self, number: int) -> int:
        return len(self.whole) * number // self.count


def shard_root(root: Path, number: int, count: int) -> Path:
    """The folder of a part beside the folder of the whole: `x-00001-of-00004`; in order of their names."""
    return root.with_name(f"{root.name}-{number:05d}-of-{count:05d}")
