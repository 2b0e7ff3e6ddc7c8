"""Stops a robot that nobody commands any more."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

logger = logging.getLogger(__name__)


class Watchdog:
    """Calls `stop_robot` once when no command came for `timeout_s`; the next command arms it again.

    Before the first command it is not armed: a robot that was not moved needs no stopping.

    Args:
        timeout_s: After how long without `feed`.
        stop_robot: Holds the position and zeroes velocities. What it raises is logged, and it is called again
            at the next look, until it succeeds.
        lock: Held while looking and stopping, so that no command slips in between.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        timeout_s: float,
        stop_robot: Callable[[], None],
        lock: AbstractContextManager,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout_s = timeout_s
        self._stop_robot, self._lock, self._clock = stop_robot, lock, clock
        self._fed_s: float | None = None
        self._failed = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def feed(self) -> None:
        """A command was sent: wait anew from now."""
        self._fed_s = self._clock()

    def look(self) -> bool:
        """Stop the robot if it is time to.

        Returns:
            Whether it was stopped now.
        """
        with self._lock:
            if self._fed_s is None or self._clock() - self._fed_s <= self.timeout_s:
                return False
            silent_s = self._clock() - self._fed_s
            try:
                self._stop_robot()
            except Exception:
                if not self._failed:
                    logger.exception("The watchdog could not stop the robot and keeps trying")
                self._failed = True
                return False
            self._fed_s, self._failed = None, False
        logger.warning("No action for %.2f s: the robot holds its position (--robot.watchdog_s)", silent_s)
        return True

    def start(self) -> None:
        """Look from a thread of its own, four times per time-out."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="robot-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; may be called twice."""
        self._ended.set()
        self._fed_s = None
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None

    def _run(self) -> None:
        while not self._ended.wait(self.timeout_s / 4):
            self.look()
