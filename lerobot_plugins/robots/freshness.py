"""Telling present measurements from old ones."""

from dataclasses import dataclass, replace

from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Reading


@dataclass(frozen=True)
class Freshness:
    """Knows a reading's age by its time, and by how long its number has stayed the same.

    The second catches a transport that stamps an old measurement anew each time it is read.

    Args:
        max_age_s: How old a reading may be.
        sequence: Number of the last reading.
        first_seen_s: When that number was first seen.
    """

    max_age_s: float
    sequence: int | None = None
    first_seen_s: float = 0.0

    def seen(self, reading: Reading, now_s: float) -> "Freshness":
        """The same with this reading in mind.

        Raises:
            ZooError: The reading is older than `max_age_s`, or from the future.
        """
        seen = self
        if reading.sequence != self.sequence:
            seen = replace(self, sequence=reading.sequence, first_seen_s=now_s)
        age_s = max(now_s - reading.received_s, now_s - seen.first_seen_s)
        if age_s > self.max_age_s or now_s - reading.received_s < -self.max_age_s:
            raise ZooError(
                "the robot's measurement is stale",
                got=f"measurement {reading.sequence}, {age_s:.2f} s old",
                expected=f"one of the last {self.max_age_s:g} s (--robot.max_age_s)",
                do="look after the connection and the robot's own programs",
            )
        return seen

    def forgotten(self) -> "Freshness":
        """One that has seen nothing."""
        return Freshness(self.max_age_s)
