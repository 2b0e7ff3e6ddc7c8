"""A table of waypoints in figures."""

from dataclasses import dataclass

import numpy as np

from lerobot_plugins.waypoints.table import Waypoints


@dataclass(frozen=True)
class WaypointSummary:
    """Counts over all episodes; durations in frames, None where no episode has two frames."""

    episodes: int
    frames: int
    waypoints: int
    median_duration: float | None
    mean_duration: float | None
    longest_duration: int | None
    limit: int
    over_limit: int
    worst_episode: int

    @property
    def kept_share(self) -> float:
        return self.waypoints / self.frames

    def text(self) -> str:
        """The figures as lines for a terminal."""
        lines = [
            f"episodes   {self.episodes}",
            f"frames     {self.frames}",
            f"waypoints  {self.waypoints} ({self.kept_share:.1%} of the frames)",
        ]
        if self.longest_duration is not None:
            lines.append(
                f"durations  median {self.median_duration:g}, mean {self.mean_duration:.2f}, "
                f"longest {self.longest_duration} frames (episode {self.worst_episode})"
            )
        lines.append(f"longer than {self.limit} frames: {self.over_limit} segments")
        return "\n".join(lines)


def summarise(table: Waypoints, limit: int) -> WaypointSummary:
    """Figures of a table.

    Args:
        table: At least one episode.
        limit: Segments longer than this many frames are counted.
    """
    durations = np.concatenate([episode.durations for episode in table])
    longest = [int(episode.durations.max(initial=0)) for episode in table]
    some = len(durations) > 0
    return WaypointSummary(
        episodes=len(table),
        frames=sum(episode.frames for episode in table),
        waypoints=sum(len(episode.indices) for episode in table),
        median_duration=float(np.median(durations)) if some else None,
        mean_duration=float(durations.mean()) if some else None,
        longest_duration=max(longest) if some else None,
        limit=limit,
        over_limit=int((durations > limit).sum()),
        worst_episode=int(np.argmax(longest)),
    )
