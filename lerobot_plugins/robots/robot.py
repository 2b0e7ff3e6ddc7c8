"""A robot of the zoo: its contract as LeRobot's `Robot`, over any backend, with safety in between."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from lerobot.cameras.utils import make_cameras_from_configs
from lerobot.robots import Robot, RobotConfig

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.errors import ZooError
from lerobot_plugins.robots.backend import Backend, Picture
from lerobot_plugins.robots.backends import make_backend, own_cameras
from lerobot_plugins.robots.config import LEGACY_GRAY3, ZooRobotConfig
from lerobot_plugins.robots.dialect import Dialect
from lerobot_plugins.robots.limit_log import LimitLog
from lerobot_plugins.robots.pictures import BackendCamera, picture_features, take_pictures
from lerobot_plugins.robots.safety import Checked, SafetyFilter
from lerobot_plugins.robots.watchdog import Watchdog

logger = logging.getLogger(__name__)

_DRY_RUN_LINE_EVERY_S = 1.0


class ZooRobot(Robot):
    """What all robots of the zoo do. A subclass gives `name`, which is its contract's, and `config_class`.

    Every command passes the safety filter. A refused one stops the robot: it holds its position, its
    velocities are zeroed, and the error goes to the caller. Without commands the watchdog does the same.

    Args:
        config: The options.
        backend: Instead of the one that the options choose, for tests.
        clock: Seconds that never go back, the clock of the backend's readings.

    Raises:
        ZooError: Options that do not fit the robot, or a backend that is not installed.
    """

    config_class: type[RobotConfig] = ZooRobotConfig

    def __init__(
        self,
        config: ZooRobotConfig,
        *,
        backend: Backend | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(config)
        self.config = config
        self.contract: RobotContract = catalog.contract(self.name)
        self._dialect = Dialect(self.contract, config.layout)
        self.backend: Backend = backend or make_backend(config, self.contract)
        self.cameras = self._make_cameras()
        self._clock = clock
        self._lock = threading.RLock()  # the watchdog's thread and the caller's
        self._filter = SafetyFilter(
            self.contract,
            limits=config.limits,
            rates=config.rates,
            margin=config.margin,
            enable_base=config.enable_base,
            max_age_s=config.max_age_s,
            ramp_s=config.ramp_s,
            low_pass_s=config.low_pass_s,
            lead_s=config.lead_s,
        )
        self._limit_log = LimitLog()
        self._watchdog = Watchdog(config.watchdog_s, self._stop, self._lock, clock)
        self._commanded = False
        self._next_dry_line_s = float("-inf")

    @property
    def observation_features(self) -> dict[str, type | tuple[int, int, int]]:
        """The state's signals in the order of the contract (or `layout`), then the pictures."""
        features: dict[str, type | tuple[int, int, int]] = dict.fromkeys(self._dialect.keys("state"), float)
        for name, camera in self.cameras.items():
            features |= picture_features(name, camera, self._legacy_depth)
        return features

    @property
    def action_features(self) -> dict[str, type]:
        """The action's signals in the order of the contract (or `layout`)."""
        return dict.fromkeys(self._dialect.keys("action"), float)

    @property
    def is_connected(self) -> bool:
        return self.backend.is_connected

    @property
    def is_calibrated(self) -> bool:
        """Always: these robots measure absolute angles."""
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Compare the robot's own mode with the one that commands need; it is never changed unasked.

        Raises:
            ZooError: The robot is in another mode.
        """
        verify_mode = getattr(self.backend, "verify_mode", None)
        if verify_mode is not None:
            verify_mode()

    def connect(self, calibrate: bool = True) -> None:
        """Open the way to the robot and to its cameras; nothing moves. May be called twice.

        Raises:
            ZooError: The backend's, or the robot is in a mode that obeys no commands.
        """
        if self.is_connected:
            return
        try:
            self.backend.connect()
            self.configure()
            for camera in self.cameras.values():
                camera.connect()
        except BaseException:
            self.disconnect()
            raise
        self._commanded = False
        self._filter.start()
        if self.config.watchdog_s and not self.config.dry_run:
            self._watchdog.start()
        logger.info("%s connected (backend %s)", self.name, self.config.backend)

    def disconnect(self) -> None:
        """Hold, zero all velocities, close the way. May be called twice, and after a failed `connect`."""
        self._watchdog.stop()
        with self._lock:
            if self.backend.is_connected:
                _try("stop", self._stop)
            # Also after a failed `connect`: it may have opened half of the way.
            _try("close its connection", self.backend.disconnect)
        for name, camera in self.cameras.items():
            if camera.is_connected:
                _try(f"close camera {name}", camera.disconnect)

    def get_observation(self) -> dict[str, Any]:
        """The latest measurement and pictures.

        Raises:
            ZooError: Not connected; a measurement that is stale, incomplete or not finite; no picture.
        """
        self._require_connection()
        with self._lock:
            # Asked before reading: a simulation may need time to make up for time.
            asked_s = self._clock()
            reading = self.backend.read()
            self._filter.check_reading(reading, asked_s)
        state = self._dialect.spoken("state", reading.signals)
        return state | take_pictures(self.cameras, self._legacy_depth, self.config.max_age_s)

    def send_action(self, action: dict[str, Any]) -> dict[str, float]:
        """Check, limit and send an action.

        Args:
            action: Numbers by signal, whole or in part. Positions that are missing are held, velocities that
                are missing are 0, keys of observations are ignored (`lerobot-rollout` sends those).

        Returns:
            What was sent, every signal of the action; in a dry run what would have been.

        Raises:
            ZooError: It was refused. The robot holds its position.
        """
        self._require_connection()
        with self._lock:
            try:
                now_s = self._clock()
                unobeyed: frozenset[str] = getattr(self.backend, "unobeyed", frozenset())
                checked = self._filter(self._dialect.understood(action), self.backend.read(), now_s, unobeyed)
                if self.config.dry_run:
                    self._log_dry(checked, now_s)
                else:
                    self._commanded = True
                    self.backend.write(checked.targets)
            except Exception:
                _try("stop", self._stop)
                raise
            self._watchdog.feed()
        self._limit_log.add(checked.limited, now_s)
        return self._dialect.spoken("action", checked.sent)

    def _stop(self) -> None:
        """Hold the present position with zero velocities; the next action starts from there.

        A robot that was sent nothing since it was connected is left alone: it may be in any mode.
        """
        if self._commanded:
            self.backend.hold()
        self._filter.rest()

    def _log_dry(self, checked: Checked, now_s: float) -> None:
        line = ", ".join(f"{name}={value:.4g}" for name, value in checked.sent.items())
        if now_s >= self._next_dry_line_s:
            self._next_dry_line_s = now_s + _DRY_RUN_LINE_EVERY_S
            logger.info("Dry run, would send: %s", line)
        else:
            logger.debug("Dry run, would send: %s", line)

    def _require_connection(self) -> None:
        if not self.is_connected:
            raise ZooError(
                f"{self.name} is not connected", expected="connect() first", do="call robot.connect()"
            )

    @property
    def _legacy_depth(self) -> bool:
        return self.config.depth_mode == LEGACY_GRAY3

    def _make_cameras(self) -> dict[str, Any]:
        """The robot's own cameras in the contract's order, then further ones."""
        shown = {camera.name: camera for camera in own_cameras(self.backend, self.config, self.contract)}
        made: dict[str, Any] = make_cameras_from_configs(self.config.cameras)
        made |= {name: BackendCamera(camera, self._look, self.contract.fps) for name, camera in shown.items()}
        order = [camera.name for camera in self.contract.cameras if camera.name in made]
        return {name: made[name] for name in [*order, *(name for name in made if name not in order)]}

    def _look(self, camera: str) -> Picture:
        with self._lock:
            return self.backend.picture(camera)


def _try(what: str, do: Callable[[], None]) -> None:
    """Do one part of stopping; a failure is logged and keeps nothing from the other parts."""
    try:
        do()
    except Exception:
        logger.exception("The robot could not %s", what)
