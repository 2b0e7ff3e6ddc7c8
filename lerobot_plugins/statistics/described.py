"""Statistics with what a reader wants to know beside them: whose they are, and what each number is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lerobot_plugins.errors import ZooError, first_names

Stats = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Described:
    """Statistics of a data set, a checkpoint or a file.

    Args:
        stats: Feature -> statistic -> values.
        origin: Where they come from, for messages.
        names: Feature -> what its dimensions are called; empty where nothing tells.
        episodes: Number of episodes, where known.
        frames: Number of frames, where known.
    """

    stats: Stats
    origin: str
    names: Mapping[str, list[str]] = field(default_factory=dict)
    episodes: int | None = None
    frames: int | None = None

    def only(self, features: Sequence[str] | None) -> "Described":
        """Some features; all of them for None.

        Raises:
            ZooError: One is not there.
        """
        if features is None:
            return self
        if unknown := set(features) - self.stats.keys():
            raise ZooError(
                f"{self.origin} has no such statistics",
                got=first_names(unknown),
                expected=f"some of {', '.join(self.stats)}",
                do="correct --features",
            )
        return replace(self, stats={key: self.stats[key] for key in self.stats if key in features})

    def named(self, feature: str, dimension: int) -> str:
        """A dimension's name; its number where it has none."""
        names = self.names.get(feature, [])
        return names[dimension] if dimension < len(names) else str(dimension)
