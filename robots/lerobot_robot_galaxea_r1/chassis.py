"""The chassis, which moves only while it is told to.

Its controller wants a stream: a limit of accelerations other than its own, 0, before the first velocity;
velocities at least ten times a second; where so configured, the brake's release. A thread keeps the stream up
between commands, with the last velocity while that is young and with 0 afterwards: whoever stops commanding
stops the robot.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1.commands import message
from lerobot_robot_galaxea_r1.topics import CHASSIS_BRAKE, CHASSIS_LIMIT, CHASSIS_SPEED, Topic
from lerobot_robot_galaxea_r1.wire import Flag, Message, Speeds

logger = logging.getLogger(__name__)

PERIOD_S = 0.05
#: A velocity counts for this long.
VALID_S = 0.3
# How often the limit is repeated, for a controller that has started anew.
_LIMIT_EVERY_S = 1.0
_LAST_ZEROS = 3
# A chassis that does not obey: told to go faster than this, going slower than that, for so long.
_TOLD, _STANDS, _REFUSES_S = 0.05, 0.005, 2.0
STANDSTILL = {slot.signal: 0.0 for slot in CHASSIS_SPEED.slots}


class Chassis:
    """Keeps a chassis at what it was told last.

    Args:
        publish: Sends a message to a topic.
        limit: Accelerations x, y (m/s^2) and yaw (rad/s^2).
        release_brake: Whether to stream that the brake is off.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        publish: Callable[[Topic, Message], None],
        limit: Sequence[float],
        *,
        release_brake: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        x, y, yaw = limit
        self._limit = Speeds([x, y, 0.0], [0.0, 0.0, yaw])
        self._publish, self._release_brake, self._clock = publish, release_brake, clock
        self._lock = threading.Lock()
        self._targets, self._until_s = STANDSTILL, 0.0
        self._refuses_since_s: float | None = None
        self._limited_s: float | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def was_commanded(self) -> bool:
        """Whether anything was sent to it."""
        return self._limited_s is not None

    def command(self, targets: dict[str, float]) -> None:
        """Go at these velocities for now; the first time, the limit of accelerations goes ahead.

        Raises:
            ZooError: A velocity that is missing or not finite, or it could not be sent.
        """
        message(CHASSIS_SPEED, targets)  # refused before anything is changed
        with self._lock:
            self._targets = {name: targets[name] for name in STANDSTILL}
            self._until_s = self._clock() + VALID_S
            self._send()
        if self._thread is None:
            self._ended.clear()
            self._thread = threading.Thread(target=self._run, name="galaxea-chassis", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stand still; the stream goes on with 0.

        Raises:
            ZooError: It could not be sent; the thread keeps trying.
        """
        with self._lock:
            self._targets = STANDSTILL
            self._send()

    def close(self) -> None:
        """Stand still and end the stream. Where the connection is gone, the chassis stops by itself."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if not self.was_commanded:
            return
        try:
            for last in range(_LAST_ZEROS):
                if last:
                    time.sleep(PERIOD_S)
                self.stop()
        except ZooError as error:
            logger.warning("The chassis is not told to stop and stops by itself: %s", error)

    def watch(self, measured: dict[str, float]) -> None:
        """Compare what it was told with what it does, and say once what usually keeps it from moving.

        Args:
            measured: Its velocities.
        """
        now_s = self._clock()
        told = max(abs(value) for value in self._targets.values())
        stands = max(abs(measured[name]) for name in STANDSTILL) < _STANDS
        if told < _TOLD or not stands:
            self._refuses_since_s = None
        elif self._refuses_since_s is None:
            self._refuses_since_s = now_s
        elif now_s - self._refuses_since_s > _REFUSES_S:
            self._refuses_since_s = float("inf")
            logger.warning(
                "The chassis is told to move and stands still. It needs the remote control on and set to "
                "software control (mode 5), the brake released (--robot.release_brake=true), an acceleration "
                "limit above 0 (--robot.chassis_acc_limit), and the emergency stop released since before it "
                "was started."
            )

    def _send(self) -> None:
        now_s = self._clock()
        if self._limited_s is None or now_s - self._limited_s >= _LIMIT_EVERY_S:
            self._publish(CHASSIS_LIMIT, self._limit)
            if self._release_brake:
                self._publish(CHASSIS_BRAKE, Flag(False))
            self._limited_s = now_s
        self._publish(CHASSIS_SPEED, message(CHASSIS_SPEED, self._targets))

    def _run(self) -> None:
        failed = False
        while not self._ended.wait(PERIOD_S):
            with self._lock:
                if self._clock() > self._until_s:
                    self._targets = STANDSTILL
                try:
                    self._send()
                    failed = False
                except ZooError as error:
                    if not failed:
                        logger.warning("The chassis is told nothing and stops by itself: %s", error)
                    failed = True
