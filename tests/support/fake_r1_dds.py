"""The fake robot on DDS, with bytes made and read by rosbags: another ROS 2 encoder than the plugin's.

Run as a program of its own: `python fake_r1_dds.py DOMAIN TAG`.
"""

import sys
import threading
from typing import Self
from uuid import uuid4

from cyclonedds._clayer import ddspy_take, ddspy_write
from cyclonedds.core import InstanceState, SampleState, ViewState
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from fake_r1 import LISTENS, PERIOD_S, SAYS, FakeR1
from ros2_messages import from_cdr, to_cdr

from lerobot_robot_galaxea_r1 import messages

_ANY = SampleState.Any | ViewState.Any | InstanceState.Any
_QOS = Qos(
    Policy.Durability.Volatile,
    Policy.History.KeepLast(10),
    Policy.DataRepresentation(use_cdrv0_representation=True),
)
BEST_EFFORT = Qos(Policy.Reliability.BestEffort, base=_QOS)
RELIABLE = Qos(Policy.Reliability.Reliable(100_000_000), base=_QOS)


def own_domain(number: int, tag: str | None = None) -> Domain:
    """A domain on loopback for those who know its tag, by default nobody; lives as long as it is held."""
    return Domain(
        number,
        "<CycloneDDS><Domain>"
        "<General><Interfaces><NetworkInterface name='lo'/></Interfaces></General>"
        f"<Discovery><Tag>{tag or uuid4()}</Tag></Discovery></Domain></CycloneDDS>",
    )


class FakeR1Dds:
    """Speaks and listens in a domain until it is killed.

    Args:
        domain: Its number.
        body: What it is.
        said: Quality of service of what it publishes.
        obeyed: Of what it listens with.
        says: Topics that it publishes.

    Attributes:
        garbled: A topic whose messages hold a name that is no text.
    """

    def __init__(
        self,
        domain: int,
        body: FakeR1,
        said: Qos = RELIABLE,
        obeyed: Qos = RELIABLE,
        says: dict[str, str] = SAYS,
    ) -> None:
        self.domain, self.body, self._said, self._obeyed, self._says = domain, body, said, obeyed, says
        self.garbled: str | None = None
        self._thread: threading.Thread | None = None
        self.start()

    def start(self) -> None:
        """Start its programs."""
        participant = DomainParticipant(self.domain)
        writers = {
            name: DataWriter(participant, _topic(participant, name, type_name), self._said)
            for name, type_name in self._says.items()
        }
        readers = {
            name: DataReader(participant, _topic(participant, name, type_name), self._obeyed)
            for name, type_name in LISTENS.items()
            if name not in self.body.deaf
        }
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(writers, readers), daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End its programs."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _run(self, writers: dict[str, DataWriter], readers: dict[str, DataReader]) -> None:
        while not self._ended.wait(PERIOD_S):
            arrived = [
                (info.source_timestamp, name, data)
                for name, reader in readers.items()
                for data, info in ddspy_take(reader._ref, _ANY, 20)
                if info.valid_data
            ]
            for _, name, data in sorted(arrived):
                self.body.hears(name, from_cdr(LISTENS[name], data))
            for name, message in self.body.says():
                if name in writers:
                    data = to_cdr(SAYS[name], message)
                    if name == self.garbled:
                        data = data.replace(b"left_arm_joint1", b"\xff" * 15)
                    assert ddspy_write(writers[name]._ref, data + bytes(-len(data) % 4)) == 0


def main(number: str, tag: str) -> None:
    """The robot as a process of its own, until it is killed."""
    domain = own_domain(int(number), tag)
    with FakeR1Dds(int(number), FakeR1()):
        print("ready", flush=True)
        threading.Event().wait()
    del domain


def _topic(participant: DomainParticipant, name: str, type_name: str) -> Topic:
    return Topic(participant, "rt" + name, getattr(messages, type_name.split("/")[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
