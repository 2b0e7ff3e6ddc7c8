"""What a transport is to the backend above it."""

from collections.abc import Callable, Iterable
from typing import Protocol

from lerobot_plugins.errors import ZooError, first_names
from lerobot_robot_galaxea_r1.topics import Topic
from lerobot_robot_galaxea_r1.wire import Message

# : Takes what a link hears: topic, message or what is wrong with it, `time.monotonic()` of its arrival, its
# sender.
type Hear = Callable[[str, Message | ZooError, float, object], None]


class Link(Protocol):
    """An open connection. What goes wrong is a `ZooError` that names the topic or the address."""

    def publish(self, topic: Topic, message: Message) -> None:
        """Send a message now, or not at all."""

    def check(self) -> None:
        """Raise if the connection is down."""

    def why_silent(self, topic: str) -> str | None:
        """What the connection knows of a topic that says nothing; None if nothing."""

    def listeners(self, topic: str) -> int | None:
        """How many listen to a topic of ours; None if the connection cannot know."""

    def close(self) -> None:
        """End it; may be called twice."""


def without_listeners(link: Link, topics: Iterable[Topic]) -> list[str]:
    """Topics of ours that nobody listens to, as far as the link can know."""
    return [topic.name for topic in topics if link.listeners(topic.name) == 0]


def require_listeners(link: Link, topics: Iterable[Topic]) -> None:
    """Refuse to speak where nobody listens.

    Raises:
        ZooError: Names the topics.
    """
    deaf = without_listeners(link, topics)
    if deaf:
        raise ZooError(
            "nobody listens to commands",
            got=f"no subscriber of {first_names(deaf)}",
            expected="the robot's motion control",
            do="start it on the robot; leave a torso without controller alone, --robot.command_torso=false",
        )
