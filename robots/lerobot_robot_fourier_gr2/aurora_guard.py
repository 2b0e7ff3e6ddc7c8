"""Compares the state of the robot's whole body with the one that commands need; changes it where allowed."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from lerobot_plugins.errors import ZooError
from lerobot_robot_fourier_gr2.aurora_link import AuroraLink
from lerobot_robot_fourier_gr2.aurora_modes import FROM_PROGRAMS, MODES, PROTECTION, Mode, describe

logger = logging.getLogger(__name__)

CHANGE_TRIES = 6
CHANGE_WAIT_S = 0.5
_LOOK_EVERY_S = 0.02


class GuardOptions(Protocol):
    """What is read of the options; see `FourierGR2Config`."""

    fsm_state: int
    allow_fsm_change: bool
    enable_base: bool
    dry_run: bool
    min_stable_level: int
    mode_max_age_s: float


class ModeGuard:
    """Knows the state in which commands are obeyed.

    Args:
        options: The options.
        clock: Seconds that never go back.
        sleep: Waits.
    """

    def __init__(
        self,
        options: GuardOptions,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.wanted: Mode = MODES[options.fsm_state]
        self._options, self._clock, self._sleep = options, clock, sleep

    def require(self, link: AuroraLink) -> Mode:
        """The state, which is the wanted one.

        Raises:
            ZooError: It is another, or obeys nothing now, or was not heard of lately.
        """
        problem = self._problem(link)
        if problem is not None:
            raise problem
        return self.wanted

    def establish(self, link: AuroraLink) -> None:
        """As `require`, after changing the state where the options allow it. In a dry run it only warns.

        Raises:
            ZooError: As `require`; or Aurora did not change.
        """
        problem = self._problem(link)
        if problem is not None and self._options.dry_run:
            logger.warning("Dry run, so this stops nothing: %s", problem)
            return
        if problem is not None:
            self._change(link, problem)
        logger.warning("The GR-2 is in state %s: %s", describe(self.wanted.state), self.wanted.needs)

    def is_ours(self, link: AuroraLink) -> bool:
        """Whether the robot is in the wanted state, so that holding its joints is this program's business.

        Raises:
            ZooError: It was not heard of lately.
        """
        if silence := self.silence(link):
            raise silence
        heard = link.mode()
        return heard is not None and heard.state == self.wanted.state

    def silence(self, link: AuroraLink) -> ZooError | None:
        """What to say if the state was not heard of lately."""
        heard, now_s = link.mode(), self._clock()
        if heard is not None and now_s - heard.at_s <= self._options.mode_max_age_s:
            return None
        return ZooError(
            "Aurora does not say in which state the robot is",
            got="nothing since connecting" if heard is None else f"nothing for {now_s - heard.at_s:.1f} s",
            expected=f"its state within {self._options.mode_max_age_s:g} s (--robot.mode_max_age_s)",
            do="look after Aurora and the network; then connect anew",
        )

    def _problem(self, link: AuroraLink) -> ZooError | None:
        """Why the robot would not obey, if so."""
        wanted, heard = self.wanted, link.mode()
        silence = self.silence(link)
        if silence is not None or heard is None:
            return silence
        if heard.state != wanted.state:
            return ZooError(
                "the GR-2 is in another state than commands are meant for",
                got=describe(heard.state),
                expected=f"{describe(wanted.state)} (--robot.fsm_state)",
                do=f"use its joystick (in that state {wanted.needs}), or let connecting change it: "
                "--robot.allow_fsm_change=true",
            )
        if wanted.velocity and self._options.enable_base and heard.source != FROM_PROGRAMS:
            return ZooError(
                "the GR-2 takes velocities from elsewhere",
                got=f"velocity source {heard.source}",
                expected=f"{FROM_PROGRAMS}, programs",
                do="choose that source, or let connecting do it with --robot.allow_fsm_change=true",
            )
        return self._unstable(link) if wanted.stand_pose else None

    def _unstable(self, link: AuroraLink) -> ZooError | None:
        """In PdStand, a robot that does not stand firmly moves its joints to their defaults by itself."""
        stand = link.stand()
        fresh = stand is not None and self._clock() - stand.at_s <= self._options.mode_max_age_s
        if fresh and stand is not None and stand.stable_level > self._options.min_stable_level:
            return None
        return ZooError(
            "the GR-2 does not stand firmly, and obeys no joint commands",
            got="no stable level" if stand is None or not fresh else f"stable level {stand.stable_level}",
            expected=f"above {self._options.min_stable_level} (--robot.min_stable_level)",
            do="put it on its feet and wait; Fourier's simulation counts only to about 10",
        )

    def _change(self, link: AuroraLink, problem: ZooError) -> None:
        heard = link.mode()
        if not self._options.allow_fsm_change or self.silence(link) is not None or heard is None:
            raise problem
        if heard.state == PROTECTION:
            raise ZooError(
                "the GR-2 protects itself, and a person must see why",
                got=describe(heard.state),
                expected=describe(self.wanted.state),
                do="look at the robot, then leave this state with its joystick",
            )
        logger.warning(
            "Changing the GR-2's state: %s -> %s", describe(heard.state), describe(self.wanted.state)
        )
        for _ in range(CHANGE_TRIES):
            # Commands may be lost on the way, and are not acknowledged.
            if heard is None or heard.state != self.wanted.state:
                link.change_state(self.wanted.state)
            if self.wanted.velocity and self._options.enable_base:
                link.change_source(FROM_PROGRAMS)
            waited_s = 0.0
            while waited_s < CHANGE_WAIT_S:
                self._sleep(_LOOK_EVERY_S)
                waited_s += _LOOK_EVERY_S
                if self._problem(link) is None:
                    return
            heard = link.mode()
        left = self._problem(link)
        raise ZooError(
            f"Aurora did not come into state {describe(self.wanted.state)}",
            got=problem.got if left is None else left.got,
            expected=f"the change within {CHANGE_TRIES} tries",
            do="look at the robot: perhaps the state can only be reached from another one, or while it hangs",
        )
