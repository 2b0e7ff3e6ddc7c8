"""Says which commands were limited, in one line every few seconds instead of thirty times a second."""

import logging
from collections.abc import Iterable

from lerobot_plugins.robots.safety import ABSENT, RATE, START, Limited

logger = logging.getLogger(__name__)

EVERY_S = 5.0
# That a robot moves as fast as it may, or has no such joint, is no news.
_EXPECTED = (RATE, START, ABSENT)
_NAMED = 4


class LimitLog:
    """Collects limited commands and logs them from time to time.

    Args:
        every_s: The time between two lines. The first comes at once.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._next_s: float | None = None
        self._counts: dict[tuple[str, str], int] = {}
        self._worst: dict[tuple[str, str], Limited] = {}

    def add(self, limited: Iterable[Limited], now_s: float) -> None:
        """Take the changes of one action in, and log if it is time."""
        for change in limited:
            key = (change.name, change.why)
            self._counts[key] = self._counts.get(key, 0) + 1
            worst = self._worst.get(key)
            if worst is None or abs(change.asked - change.sent) > abs(worst.asked - worst.sent):
                self._worst[key] = change
        if self._counts and (self._next_s is None or now_s >= self._next_s):
            self._log()
            self._next_s = now_s + self._every_s

    def _log(self) -> None:
        news = [key for key in self._counts if key[1] not in _EXPECTED]
        chosen = news or list(self._counts)
        said = "; ".join(self._describe(key) for key in chosen[:_NAMED])
        rest = f"; and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
        logger.log(logging.WARNING if news else logging.INFO, "Commands were limited: %s%s", said, rest)
        self._counts, self._worst = {}, {}

    def _describe(self, key: tuple[str, str]) -> str:
        worst = self._worst[key]
        return f"{worst.name} {worst.asked:.3g} -> {worst.sent:.3g} ({worst.why}, {self._counts[key]} times)"
