"""Topics over Cyclone DDS as ROS 2 maps them: `/name` is `rt/name`, encoded in plain CDR.

Imports `cyclonedds`: imported only when a connection is opened.
"""

import logging
import threading
import time
from typing import Any
from xml.sax.saxutils import quoteattr

from cyclonedds.core import DDSException, InstanceState, ReadCondition, SampleState, ViewState, WaitSet
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.internal import InvalidSample
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic as DdsTopic
from cyclonedds.util import duration

from lerobot_plugins.errors import ZooError
from lerobot_robot_galaxea_r1 import messages
from lerobot_robot_galaxea_r1.link import Hear
from lerobot_robot_galaxea_r1.topics import Topic
from lerobot_robot_galaxea_r1.wire import Compressed, Flag, Joints, Message, Pixels, Speeds

logger = logging.getLogger(__name__)

_TYPES: dict[type[Message], Any] = {
    Joints: messages.JointState,
    Speeds: messages.TwistStamped,
    Flag: messages.Bool,
    Compressed: messages.CompressedImage,
    Pixels: messages.Image,
}
# After each look the readers rest: only the newest message of each is decoded, at most so often.
_REST_S = 0.004
_WAIT_S = 0.1
_LONGEST_WRITE_S = 0.1
_ANY_NEW = SampleState.NotRead | ViewState.Any | InstanceState.Any


class DdsLink:
    """Readers and writers in one participant, and the thread that takes what comes.

    Args:
        config: `ros_domain_id`, `network_interface`, `reliable_commands`, `reliable_feedback`.
        heard: Topics to hear.
        sent: Topics to send.
        hear: Takes what is heard.

    Raises:
        ZooError: No such network card, or no way to open the domain.
    """

    def __init__(self, config: Any, heard: list[Topic], sent: list[Topic], hear: Hear) -> None:
        self._domain_id, self._hear = config.ros_domain_id, hear
        try:
            domain = _domain(config.ros_domain_id, config.network_interface)
            participant = DomainParticipant(config.ros_domain_id)
            commands = _qos(reliable=config.reliable_commands)
            feedback = _qos(reliable=config.reliable_feedback)
            self._writers = {
                topic.name: DataWriter(participant, _topic(participant, topic), commands) for topic in sent
            }
            self._readers = {
                topic.name: DataReader(participant, _topic(participant, topic), feedback) for topic in heard
            }
            waiting = WaitSet(participant)
            for reader in self._readers.values():
                waiting.attach(ReadCondition(reader, _ANY_NEW))
            self._entities = [waiting, participant, domain]
        except DDSException as error:
            raise ZooError(
                f"DDS domain {config.ros_domain_id} cannot be opened",
                got=str(error),
                expected=f"network card {config.network_interface}" if config.network_interface else None,
                do="see `ip addr` for --robot.network_interface, and that CYCLONEDDS_URI names a valid file",
            ) from error
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(waiting,), name="galaxea-dds", daemon=True)
        self._thread.start()

    def publish(self, topic: Topic, message: Message) -> None:
        """Write a message; a reliable one that the robot does not take in time is an error.

        Raises:
            ZooError: It was not taken.
        """
        try:
            self._writers[topic.name].write(_encoded(message))
        except DDSException as error:
            raise ZooError(
                f"{topic.name} could not be written",
                got=str(error),
                expected=f"that the robot takes it within {_LONGEST_WRITE_S:g} s",
                do="look after the network, or try --robot.reliable_commands=false",
            ) from error

    def check(self) -> None:
        """Nothing: DDS has no connection that could be down; silence is noticed by its age."""

    def why_silent(self, topic: str) -> str | None:
        """Whether anybody publishes it, and in a way that fits."""
        reader = self._readers[topic]
        if reader.get_requested_incompatible_qos_status().total_count:
            return f"{topic} is published best-effort only, try --robot.reliable_feedback=false"
        if not reader.get_subscription_matched_status().current_count:
            return f"nobody publishes {topic} in DDS domain {self._domain_id}, see --robot.ros_domain_id"
        return f"{topic} has a publisher that sends nothing"

    def listeners(self, topic: str) -> int:
        """How many subscribe to a topic of ours."""
        return self._writers[topic].get_publication_matched_status().current_count

    def close(self) -> None:
        """Leave the domain; may be called twice."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        # Entities are deleted with their last reference, the participant after what belongs to it.
        self._readers.clear()
        self._writers.clear()
        while self._entities:
            self._entities.pop(0)

    def _take(self, name: str, reader: DataReader, arrived_s: float) -> None:
        try:
            for sample in reader.take(1):
                if not isinstance(sample, InvalidSample):
                    self._hear(name, _decoded(sample), arrived_s, sample.sample_info.publication_handle)
        except (DDSException, ValueError) as error:  # a text that is none is a ValueError
            do = f"see which program publishes it: ros2 topic info -v {name}"
            self._hear(
                name, ZooError(f"{name} sends what cannot be read", got=str(error), do=do), arrived_s, None
            )

    def _run(self, waiting: WaitSet) -> None:
        while not self._ended.is_set():
            waiting.wait(duration(seconds=_WAIT_S))
            arrived_s = time.monotonic()
            for name, reader in self._readers.items():
                self._take(name, reader, arrived_s)
            self._ended.wait(_REST_S)


def _domain(domain_id: int, card: str | None) -> Domain | None:
    """The domain on one network card; None leaves it to Cyclone DDS and CYCLONEDDS_URI."""
    if card is None:
        return None
    return Domain(
        domain_id,
        "<CycloneDDS><Domain><General><Interfaces>"
        f"<NetworkInterface name={quoteattr(card)}/>"
        "</Interfaces></General></Domain></CycloneDDS>",
    )


def _topic(participant: DomainParticipant, topic: Topic) -> DdsTopic:
    return DdsTopic(participant, "rt" + topic.name, _TYPES[topic.kind])


def _qos(*, reliable: bool) -> Qos:
    return Qos(
        Policy.Reliability.Reliable(duration(seconds=_LONGEST_WRITE_S))
        if reliable
        else Policy.Reliability.BestEffort,
        Policy.Durability.Volatile,
        Policy.History.KeepLast(1),
        # The encoding of ROS 2; left to itself Cyclone DDS also offers the newer one.
        Policy.DataRepresentation(use_cdrv0_representation=True),
    )


def _seconds(header: messages.Header) -> float:
    return header.stamp.sec + header.stamp.nanosec * 1e-9


def _decoded(sample: Any) -> Message:
    if isinstance(sample, messages.JointState):
        return Joints(sample.position, sample.velocity, sample.name, _seconds(sample.header))
    if isinstance(sample, messages.TwistStamped):
        linear, angular = sample.twist.linear, sample.twist.angular
        return Speeds(
            [linear.x, linear.y, linear.z], [angular.x, angular.y, angular.z], _seconds(sample.header)
        )
    if isinstance(sample, messages.CompressedImage):
        return Compressed(sample.format, sample.data, _seconds(sample.header))
    return Pixels(
        sample.height,
        sample.width,
        sample.encoding,
        bool(sample.is_bigendian),
        sample.step,
        sample.data,
        _seconds(sample.header),
    )


def _encoded(message: Message) -> Any:
    if isinstance(message, Flag):
        return messages.Bool(message.on)
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    header = messages.Header(messages.Time(seconds, nanoseconds))
    if isinstance(message, Joints):
        return messages.JointState(header, position=list(message.position), velocity=list(message.velocity))
    assert isinstance(message, Speeds)
    return messages.TwistStamped(
        header, messages.Twist(messages.Vector3(*message.linear), messages.Vector3(*message.angular))
    )
