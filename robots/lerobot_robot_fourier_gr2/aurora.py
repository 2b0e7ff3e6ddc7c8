"""The backend `aurora`: a real GR-2 through Fourier's published client.

Tried against a fake server on loopback, never on a robot: see docs/fourier_gr2.md. Cameras are LeRobot's own,
`--robot.cameras`; Aurora shows none.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Protocol

from lerobot_plugins.contracts.fourier_gr2 import COMMANDED_GROUPS, SDK_HANDS, unpack
from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.robots.backend import Picture, Reading
from lerobot_plugins.robots.backends import missing_module
from lerobot_plugins.robots.limits import bounds_of, held_positions
from lerobot_robot_fourier_gr2.aurora_base import StandPose
from lerobot_robot_fourier_gr2.aurora_body import BASE_PARTS, commanded, measured
from lerobot_robot_fourier_gr2.aurora_client import AuroraOptions, open_client
from lerobot_robot_fourier_gr2.aurora_guard import GuardOptions, ModeGuard
from lerobot_robot_fourier_gr2.aurora_link import AuroraLink
from lerobot_robot_fourier_gr2.aurora_modes import STAND_POSE, VELOCITIES
from lerobot_robot_fourier_gr2.config_fourier_gr2 import FourierGR2Config

logger = logging.getLogger(__name__)

FIRST_MEASUREMENT_S = 3.0
_LOOK_EVERY_S = 0.01
# Steps between commands that count: no more is made up for after a pause.
LONGEST_STEP_S = 0.2
STOP_VALID_S = 1.0
# The last stop is said so often and so far apart: a connection that ends at once may take it along unsent.
LAST_STOPS, LAST_STOPS_EVERY_S = 5, 0.05
HELD_GROUPS = tuple(group for group in COMMANDED_GROUPS if group not in SDK_HANDS)
_YAW = "base_base_yaw.pos"


class Options(AuroraOptions, GuardOptions, Protocol):
    """What this backend reads of a robot's options; see `FourierGR2Config`."""

    max_age_s: float
    limits: dict[str, list[float]]
    margin: float


class AuroraBackend:
    """A GR-2 that is told its joints' positions and, where enabled, its base's velocities or trunk's pose.

    Args:
        contract: The robot.
        config: Its options.
        open_client: Makes a connected client; another one in tests.
        clock: Seconds that never go back.
        sleep: Waits.
    """

    def __init__(
        self,
        contract: RobotContract,
        config: Options,
        *,
        open_client: Callable[[Any], Any] = open_client,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._contract, self._config = contract, config
        self._open_client, self._clock, self._sleep = open_client, clock, sleep
        self._targets = [signal.name for signal in contract.action if signal.exists]
        self._bounds = bounds_of(contract, config.limits, margin=config.margin)
        self._guard = ModeGuard(config, clock, sleep)
        self._link: AuroraLink | None = None
        self._forget()

    @property
    def is_connected(self) -> bool:
        return self._link is not None

    @property
    def unobeyed(self) -> frozenset[str]:
        """Signals of the action that the robot does not obey in the state of the options.

        Of the base only where it is enabled: otherwise `safety` keeps it still.
        """
        mode, base = self._guard.wanted, self._config.enable_base
        joints = [name for name in self._targets if name not in (*VELOCITIES, *STAND_POSE)]
        return frozenset(
            [
                *(() if mode.joints else joints),
                *(VELOCITIES if base and not mode.velocity else ()),
                *(STAND_POSE if base and not mode.stand_pose else ()),
            ]
        )

    def connect(self) -> None:
        """Find the server and wait for the first complete measurement; nothing is sent.

        Raises:
            ZooError: No client, no server, or a server that does not measure a GR-2.
        """
        if self._link is not None:
            return
        try:
            client = self._open_client(self._config)
        except ModuleNotFoundError as error:
            raise missing_module(error, FourierGR2Config.backends["aurora"]) from error
        try:
            link = AuroraLink(client, self._clock)
            self._wait_for_everything(link)
        except BaseException:
            client.close()
            raise
        self._forget()
        self._link = link

    def disconnect(self) -> None:
        """Zero the base's velocities if any were sent, and end the connection."""
        link, self._link = self._link, None
        if link is None:
            return
        try:
            if self._sent_velocity:
                for _ in range(LAST_STOPS):
                    link.velocity(0.0, 0.0, 0.0, STOP_VALID_S)
                    self._sleep(LAST_STOPS_EVERY_S)
        finally:
            link.close()

    def verify_mode(self) -> None:
        """Compare the robot's state with `fsm_state`; bring it there where `allow_fsm_change` says so.

        Raises:
            ZooError: It is in another state, or did not change.
        """
        self._guard.establish(self._connected())

    def read(self) -> Reading:
        """The latest measurement; as old as its oldest part.

        Raises:
            ZooError: Not connected; a group of joints or a part of the base's data that is missing or has
                another length.
        """
        return self._read(self._connected())

    def picture(self, camera: str) -> Picture:
        """None: Aurora shows no pictures.

        Raises:
            ZooError: Always.
        """
        raise ZooError("Aurora shows no pictures", got=camera, do="give cameras with --robot.cameras")

    def write(self, targets: dict[str, float]) -> None:
        """Send what the robot's state obeys of these targets.

        Raises:
            ZooError: Not connected; another state; targets that are missing or not finite. Nothing is sent.
        """
        link = self._connected()
        mode = self._guard.require(link)
        missing = [name for name in self._targets if name not in targets]
        if missing:
            raise ZooError(
                "targets are missing", got=first_names(missing), expected=f"{len(self._targets)} targets"
            )
        wrong = [name for name, value in targets.items() if not math.isfinite(value)]
        if wrong:
            raise ZooError("targets are not finite", got=first_names(wrong), expected="finite numbers")
        vectors = commanded(targets)
        step_s = self._step()
        if mode.joints:
            link.command(vectors)
        if self._config.enable_base and mode.velocity:
            self._sent_velocity = True
            # Ends by itself if the next command does not come.
            x, y, yaw = (targets[name] for name in VELOCITIES)
            link.velocity(x, y, yaw, valid_s=2 * step_s)
        if self._config.enable_base and mode.stand_pose:
            stand = link.stand()
            assert stand is not None  # the guard has heard of it
            self._sent_pose = True
            height_rate, pitch_rate, yaw = (targets[name] for name in STAND_POSE)
            link.stand_pose(self._stand_pose.step(stand.pose, height_rate, pitch_rate, yaw, step_s))

    def hold(self) -> None:
        """Zero the base's velocities, then hold arms, head and waist where they are measured.

        Hands keep to their last target: opening to where they are measured would let go of what they hold. In
        another state than that of the options only the velocities are zeroed: somebody else commands it.

        Raises:
            ZooError: In which state the robot is, or where a group of joints is, is not known; the others are
                held. Aurora keeps to the last command by itself.
        """
        link = self._connected()
        if self._sent_velocity:
            link.velocity(0.0, 0.0, 0.0, STOP_VALID_S)
        if not self._guard.is_ours(link):
            return
        stand = link.stand()
        if self._sent_pose and stand is not None:
            self._stand_pose.rest()
            link.stand_pose(stand.pose)
        if not self._guard.wanted.joints:
            return
        vectors, problems = {}, []
        for group in HELD_GROUPS:
            try:
                vectors[group] = self._held(link, group)
            except ZooError as error:
                problems.append(error)
        if vectors:
            link.command(vectors)
        if problems:
            raise problems[0]

    def _held(self, link: AuroraLink, group: str) -> list[float]:
        """Where a group is, to be commanded."""
        heard, now_s = link.group(group), self._clock()
        age_s = math.inf if heard is None else now_s - heard.at_s
        if heard is None or age_s > self._config.max_age_s:
            raise ZooError(
                f"where the joints of group {group} are is not known",
                got=f"a measurement {age_s:.1f} s old",
                expected=f"one of the last {self._config.max_age_s:g} s (--robot.max_age_s)",
                do="look after Aurora and the network",
            )
        positions = unpack({group: heard.values})
        bounds = {f"{joint}.pos": self._bounds[f"{joint}.pos"] for joint in positions}
        return list(
            held_positions(bounds, {f"{joint}.pos": value for joint, value in positions.items()}).values()
        )

    def _connected(self) -> AuroraLink:
        if self._link is None:
            raise ZooError("Aurora is not connected", expected="connect() first", do="call robot.connect()")
        return self._link

    def _forget(self) -> None:
        """What is only true of one connection."""
        self._sequence, self._received_s = 0, -math.inf
        self._written_s: float | None = None
        self._sent_velocity = self._sent_pose = False
        self._stand_pose = StandPose()

    def _step(self) -> float:
        """Seconds since the last command, at least the contract's period."""
        now_s, period_s = self._clock(), 1 / self._contract.fps
        passed_s = period_s if self._written_s is None else now_s - self._written_s
        self._written_s = now_s
        return min(max(passed_s, period_s), LONGEST_STEP_S)

    def _read(self, link: AuroraLink) -> Reading:
        groups = {group: link.group(group) for group in COMMANDED_GROUPS}
        base = {part: link.base(part) for part in BASE_PARTS}
        heard = {name: part for name, part in (groups | base).items() if part is not None}
        unheard = [*groups.keys() - heard.keys(), *base.keys() - heard.keys()]
        if unheard:
            raise ZooError(
                "Aurora does not measure everything",
                got=f"no {first_names(unheard)}",
                expected=f"{len(groups)} groups of joints and {len(base)} parts of the base's data",
                do="see that the robot is a GR-2 whose Aurora has started all its tasks",
            )
        signals = measured(
            {group: heard[group].values for group in groups}, {part: heard[part].values for part in base}
        )
        stand = link.stand()
        if self._guard.wanted.stand_pose and stand is not None:
            # The state of the contract lacks it; without it, holding yaw would mean turning back to 0.
            signals[_YAW] = stand.pose.yaw
        received_s = min(part.at_s for part in heard.values())
        if received_s != self._received_s:
            self._sequence, self._received_s = self._sequence + 1, received_s
        return Reading(signals, self._sequence, received_s)

    def _wait_for_everything(self, link: AuroraLink) -> None:
        """Until the first complete measurement and state; raises what is wrong if they do not come."""
        began_s = self._clock()
        while (problem := self._incomplete(link)) is not None:
            if self._clock() - began_s > FIRST_MEASUREMENT_S:
                raise problem
            self._sleep(_LOOK_EVERY_S)

    def _incomplete(self, link: AuroraLink) -> ZooError | None:
        try:
            self._read(link)
        except ZooError as error:
            return error
        return self._guard.silence(link)
