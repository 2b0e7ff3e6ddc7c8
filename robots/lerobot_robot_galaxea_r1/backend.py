"""A real Galaxea robot, whichever way its messages come: what `dds` and `rosbridge` share.

Tried against fake robots on loopback, never on a robot: see docs/galaxea_r1.md.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Protocol

from lerobot_plugins.contracts.galaxea_r1 import BASE_NAMES
from lerobot_plugins.contracts.robot import Camera, RobotContract
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.robots.backend import Picture, Reading
from lerobot_plugins.robots.limits import bounds_of, held_positions
from lerobot_robot_galaxea_r1.chassis import Chassis
from lerobot_robot_galaxea_r1.commands import check, message, messages
from lerobot_robot_galaxea_r1.feedback import Feedback
from lerobot_robot_galaxea_r1.link import Link, require_listeners, without_listeners
from lerobot_robot_galaxea_r1.pictures import CameraFeed
from lerobot_robot_galaxea_r1.topics import (
    CHASSIS_BRAKE,
    CHASSIS_LIMIT,
    Topic,
    command_topics,
    feedback_topics,
)
from lerobot_robot_galaxea_r1.wire import Message

logger = logging.getLogger(__name__)

BASE, TORSO = "base", "torso"
_LOOK_EVERY_S = 0.01
# Who listens is known a moment after who speaks.
_LISTENERS_S = 1.0


class Options(Protocol):
    """What these backends read of a robot's options; see `GalaxeaConfig`."""

    max_age_s: float
    margin: float
    limits: dict[str, list[float]]
    use_depth: bool
    backend_cameras: list[str] | None
    camera_sizes: dict[str, list[int]]
    enable_base: bool
    use_chassis: bool
    command_torso: bool
    check_joint_names: bool
    chassis_acc_limit: list[float]
    release_brake: bool
    connect_timeout_s: float


class GalaxeaBackend(ABC):
    """A robot that is told positions of arms, grippers and torso, and velocities of its chassis if enabled.

    Args:
        contract: The robot.
        config: Its options.
        clock: Seconds that never go back.
        sleep: Waits.

    Raises:
        ZooError: `camera_sizes` names a camera that the robot does not have.
    """

    def __init__(
        self,
        contract: RobotContract,
        config: Options,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._contract, self._config, self._clock, self._sleep = contract, config, clock, sleep
        known = [camera.name for camera in contract.cameras]
        unknown = [name for name in config.camera_sizes if name not in known]
        if unknown:
            raise ZooError(
                f"robot.camera_sizes names cameras that {contract.robot_type} does not have",
                got=first_names(unknown),
                expected=first_names(known),
                do="correct --robot.camera_sizes",
            )
        self._bounds = bounds_of(contract, config.limits, margin=config.margin)
        commands = command_topics(contract)
        self._chassis_topic = commands.pop(BASE)
        self._torso_names = frozenset(commands[TORSO].named("position"))
        if not config.command_torso:
            commands.pop(TORSO)
        self._commands = commands
        feedback = feedback_topics(contract)
        if not config.use_chassis:
            feedback.pop(BASE)
        self._feedback = Feedback(
            feedback,
            config.max_age_s,
            check_names=config.check_joint_names,
            zero=() if config.use_chassis else BASE_NAMES,
            clock=clock,
        )
        self._feedback_topics = feedback
        listened = [camera for camera in self.cameras if camera.name in (config.backend_cameras or ())]
        self._pictures = CameraFeed(listened, config.max_age_s, clock)
        self._camera_names = {topic.name for topic in self._pictures.topics}
        self._link: Link | None = None
        self._chassis: Chassis | None = None

    @abstractmethod
    def _open(self, heard: list[Topic], sent: list[Topic]) -> Link:
        """A connection that hears and sends these topics and gives to `_hear` what it hears.

        Raises:
            ZooError: It cannot be opened.
        """

    @property
    def is_connected(self) -> bool:
        return self._link is not None

    @property
    def cameras(self) -> list[Camera]:
        """The robot's cameras with the sizes of the options."""
        sizes = self._config.camera_sizes
        return [
            replace(
                camera,
                height=sizes.get(camera.name, (camera.height, camera.width))[0],
                width=sizes.get(camera.name, (camera.height, camera.width))[1],
                depth=camera.depth and self._config.use_depth,
            )
            for camera in self._contract.cameras
        ]

    @property
    def unobeyed(self) -> frozenset[str]:
        """Signals of the action that are not sent."""
        return frozenset() if self._config.command_torso else self._torso_names

    def connect(self) -> None:
        """Open the way and wait for the first complete measurement, and for a picture of each camera.

        Nothing is sent. Who does not listen to commands yet is only warned of.

        Raises:
            ZooError: No way, or something that is not measured: names the topics.
        """
        if self._link is not None:
            return
        self._forget()
        chassis = [self._chassis_topic, CHASSIS_LIMIT]
        chassis += [CHASSIS_BRAKE] if self._config.release_brake else []
        sent = [*self._commands.values(), *(chassis if self._config.enable_base else ())]
        link = self._open([*self._feedback_topics.values(), *self._pictures.topics], sent)
        try:
            self._wait_for_everything(link)
            self._wait_for_listeners(link, sent)
        except BaseException:
            link.close()
            raise
        self._link = link
        if self._config.enable_base:
            self._chassis = Chassis(
                lambda topic, made: self._send(link, topic, made),
                self._config.chassis_acc_limit,
                release_brake=self._config.release_brake,
                clock=self._clock,
            )

    def disconnect(self) -> None:
        """Stop the chassis if it was ever told anything, then end the connection."""
        link, self._link = self._link, None
        if link is None:
            return
        chassis, self._chassis = self._chassis, None
        try:
            if chassis is not None:
                chassis.close()
        finally:
            link.close()

    def read(self) -> Reading:
        """The latest measurement; as old as the oldest of its topics.

        Raises:
            ZooError: Not connected, or a topic that is silent, late or wrong: names topic and joint.
        """
        self._connected().check()
        reading = self._feedback.reading()
        if self._chassis is not None:
            self._chassis.watch(reading.signals)
        return reading

    def picture(self, camera: str) -> Picture:
        """The newest picture of one of `backend_cameras`.

        Raises:
            ZooError: As `CameraFeed.picture`.
        """
        self._connected()
        return self._pictures.picture(camera)

    def write(self, targets: dict[str, float]) -> None:
        """Send all targets; the chassis's only where the base is enabled.

        Raises:
            ZooError: Not connected; targets that are missing, unknown or not finite; a topic that nobody
                listens to. Nothing was sent.
        """
        link = self._connected()
        link.check()
        unknown = [name for name in targets if name not in self._contract.action_signals]
        if unknown:
            raise ZooError("targets of unknown signals", got=first_names(unknown))
        made = messages(self._commands.values(), targets)
        message(self._chassis_topic, targets)  # refuse before anything is sent
        chassis_topics = [self._chassis_topic] if self._chassis is not None else []
        require_listeners(link, [*self._commands.values(), *chassis_topics])
        for topic, joints in made:
            self._send(link, topic, joints)
        if self._chassis is not None:
            self._chassis.command(targets)

    def hold(self) -> None:
        """Stop the chassis, then hold arms and torso where they are measured.

        Grippers keep to their last target: opening to where it is measured would let go of what is held. An
        arm whose position is not known is sent nothing, and the robot keeps to its last target by itself.

        Raises:
            ZooError: A part could not be held; the others are.
        """
        link = self._connected()
        problems = []
        if self._chassis is not None and self._chassis.was_commanded:
            problems += _tried(self._chassis.stop)
        for part in self._commands:
            if not part.endswith("gripper"):
                problems += _tried(partial(self._hold, link, part))
        if problems:
            raise problems[0]

    def _hold(self, link: Link, part: str) -> None:
        link.check()
        topic = self._commands[part]
        measured = self._feedback.part(part)
        self._send(link, topic, message(topic, held_positions(self._bounds, measured)))

    def _send(self, link: Link, topic: Topic, made: Message) -> None:
        check(topic, made)
        link.publish(topic, made)

    def _hear(self, topic: str, made: Message | ZooError, arrived_s: float, sender: object = None) -> None:
        """What a link calls for each message, from a thread of its own."""
        if topic in self._camera_names:
            self._pictures.heard(topic, made, arrived_s, sender)
        else:
            self._feedback.heard(topic, made, arrived_s, sender)

    def _forget(self) -> None:
        """What a link calls when it is connected anew: nothing of before counts."""
        self._feedback.forget()
        self._pictures.forget()

    def _connected(self) -> Link:
        if self._link is None:
            raise ZooError(
                f"{self._contract.robot_type} is not connected",
                expected="connect() first",
                do="call robot.connect()",
            )
        return self._link

    def _wait_for_everything(self, link: Link) -> None:
        began_s = self._clock()
        while unheard := [*self._feedback.unheard(), *self._pictures.unheard()]:
            if self._clock() - began_s > self._config.connect_timeout_s:
                why = "; ".join(filter(None, (link.why_silent(name) for name in unheard[:3])))
                raise ZooError(
                    f"{self._contract.robot_type} does not say everything",
                    got=f"nothing from {first_names(unheard)}" + (f" ({why})" if why else ""),
                    expected=f"{len(self._feedback_topics) + len(self._pictures.topics)} topics within "
                    f"{self._config.connect_timeout_s:g} s (--robot.connect_timeout_s)",
                    do="see that the robot's drivers run: ros2 topic list, ros2 topic hz",
                )
            self._sleep(_LOOK_EVERY_S)
        self._feedback.reading()

    def _wait_for_listeners(self, link: Link, topics: Iterable[Topic]) -> None:
        began_s = self._clock()
        while deaf := without_listeners(link, topics):
            if self._clock() - began_s > _LISTENERS_S:
                logger.warning(
                    "Nobody listens to %s yet: start the robot's motion control before moving it",
                    ", ".join(deaf),
                )
                return
            self._sleep(_LOOK_EVERY_S)


def _tried(do: Callable[[], None]) -> list[ZooError]:
    try:
        do()
    except ZooError as error:
        return [error]
    return []
