"""Opens Fourier's published client, `fourier-aurora-client`, and undoes what it does to its process.

The client (0.1.8) is one object per process, dead for good once closed; a failed search leaves its DDS
participant open; it replaces the root logger's handlers; and `get_instance` answers None where its
constructor says why. So each connection here is an object of a class of its own.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from lerobot_plugins.errors import ZooError, first_names

logger = logging.getLogger(__name__)

_CLIENT_LOGGER = "fourier_aurora_client"
_UNMATCHED = "Unmatched subscriber: "


class AuroraOptions(Protocol):
    """What is read of the options to find the server; see `FourierGR2Config`."""

    domain_id: int
    robot_name: str
    namespace: str | None
    ros_compatible: bool
    connect_tries: int
    connect_wait_s: float


def open_client(options: AuroraOptions) -> Any:
    """A connected client of Aurora. One try takes about a second where a server answers, three otherwise.

    Raises:
        ZooError: No server answers, or the client cannot be imported on this machine.
        ModuleNotFoundError: The client is not installed.
    """
    client_class = _client_class()
    began_s, reason = time.monotonic(), "nothing was tried"
    for attempt in range(1, options.connect_tries + 1):
        with _logging_kept() as messages:
            try:
                return client_class(
                    options.domain_id, None, options.robot_name, options.namespace, options.ros_compatible
                )
            except Exception as error:
                reason = _reason(error, messages)
        logger.info("Aurora did not answer (try %d of %d): %s", attempt, options.connect_tries, reason)
        if attempt < options.connect_tries:
            time.sleep(options.connect_wait_s)
    tries = "1 try" if options.connect_tries == 1 else f"{options.connect_tries} tries"
    raise ZooError(
        f"no Aurora server answers in DDS domain {options.domain_id}",
        got=f"{reason}, {tries} in {time.monotonic() - began_s:.0f} s",
        expected=f"Aurora running on {options.robot_name}, in the same network",
        do="start Aurora on the robot (its config.yaml says the DomainID), see that multicast reaches this "
        "machine, or correct --robot.domain_id, --robot.namespace or --robot.ros_compatible",
    )


def _client_class() -> Any:
    try:
        # Importing it takes a second and loads Fast DDS: only when a connection is wanted.
        with _logging_kept():
            from fourier_aurora_client.client import AuroraClient
    except ModuleNotFoundError:
        raise
    except ImportError as error:
        raise ZooError(
            "fourier-aurora-client does not load on this machine",
            got=error,
            expected="Linux on x86-64, for which its shared objects are built",
            do="connect from such a machine",
        ) from error
    # By itself it writes to a handler of its own, whatever the program wants.
    talkative = logging.getLogger(f"{_CLIENT_LOGGER}.dds_interface")
    talkative.handlers.clear()
    talkative.propagate = True

    class OwnClient(AuroraClient):
        """A client that is not shared, and leaves nothing open when it finds no server."""

        _instance = None

        def _initialize(self, *arguments: Any) -> None:
            try:
                super()._initialize(*arguments)
            except BaseException:
                interface = getattr(self, "_dds_interface", None)
                if interface is not None:
                    interface.close()
                raise

    return OwnClient


@contextmanager
def _logging_kept() -> Iterator[list[str]]:
    """Keep the root logger as it is, and collect what the client says instead of printing it."""
    root, own = logging.getLogger(), logging.getLogger(_CLIENT_LOGGER)
    handlers, level = root.handlers[:], root.level
    messages: list[str] = []
    collector = _Collector(messages)
    # Taken away beforehand: `basicConfig(force=True)` closes the handlers that it finds.
    root.handlers.clear()
    own.addHandler(collector)
    own.propagate = False
    try:
        yield messages
    finally:
        own.propagate = True
        own.removeHandler(collector)
        for handler in root.handlers[:]:
            root.removeHandler(handler)
            handler.close()
        root.handlers.extend(handlers)
        root.setLevel(level)


class _Collector(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())


def _reason(error: Exception, messages: list[str]) -> str:
    """What was missing, in one line."""
    topics = [message.removeprefix(_UNMATCHED) for message in messages if message.startswith(_UNMATCHED)]
    return f"nobody publishes {first_names(topics)}" if topics else str(error)
