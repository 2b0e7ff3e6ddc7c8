"""Fourier's own client: what it does to its process is undone, and a failed search leaves nothing behind."""

import logging
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from lerobot_plugins.errors import ZooError
from lerobot_robot_fourier_gr2 import aurora_client
from lerobot_robot_fourier_gr2.aurora_client import open_client


@dataclass
class Options:
    """Where a test looks for a server."""

    domain_id: int = 91
    robot_name: str = "gr2"
    namespace: str | None = None
    ros_compatible: bool = False
    connect_tries: int = 3
    connect_wait_s: float = 2.0


class Silent:
    """A client that finds no server, and says so as the published one does."""

    made = 0

    def __init__(self, *arguments: object) -> None:
        Silent.made += 1
        log = logging.getLogger("fourier_aurora_client.client")
        logging.basicConfig(level=logging.INFO, force=True)
        log.error("Unmatched subscriber: aurora_state")
        log.error("Unmatched subscriber: base_data_pub")
        raise RuntimeError("Timeout waiting for subscribers to be matched")


def test_without_a_server_it_tries_again_and_says_where_it_looked(monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []
    Silent.made = 0
    monkeypatch.setattr(aurora_client, "_client_class", lambda: Silent)
    monkeypatch.setattr(aurora_client, "time", SimpleNamespace(sleep=waits.append, monotonic=lambda: 0.0))
    said = r"(?s)DDS domain 91.*nobody publishes aurora_state, base_data_pub, 3 tries.*--robot\.domain_id"
    with pytest.raises(ZooError, match=said):
        open_client(Options())
    assert Silent.made == 3
    assert waits == [2.0, 2.0]


def test_the_program_s_logging_stays_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(aurora_client, "_client_class", lambda: Silent)
    root = logging.getLogger()
    # `force` would close it, and a file in mode "w" stays closed.
    file = logging.FileHandler(tmp_path / "log.txt", mode="w")
    root.addHandler(file)
    handlers, level = root.handlers[:], root.level
    try:
        with pytest.raises(ZooError):
            open_client(Options(connect_tries=1))
        assert root.handlers == handlers
        assert root.level == level
        root.error("still written")
        assert "still written" in (tmp_path / "log.txt").read_text()
    finally:
        root.removeHandler(file)
        file.close()
    assert "Unmatched" not in "".join(capsys.readouterr())


def test_the_published_client_is_not_shared_and_closes_after_a_failure(monkeypatch: pytest.MonkeyPatch):
    client = pytest.importorskip("fourier_aurora_client.client")
    closed: list[object] = []

    class Interface:
        def __init__(self, *arguments: object) -> None:
            pass

        def close(self) -> None:
            closed.append(self)

    def fail(self: object) -> None:
        raise client.DDSMatchTimeout("Timeout waiting for subscribers to be matched")

    monkeypatch.setattr(client, "DDSInterface", Interface)
    monkeypatch.setattr(client.AuroraClient, "_init_subscribers", fail)
    with pytest.raises(ZooError, match="Timeout waiting for subscribers"):
        open_client(Options(connect_tries=2, connect_wait_s=0.0))
    assert len(closed) == 2
    assert client.AuroraClient._instance is None
    monkeypatch.setattr(client.AuroraClient, "_init_subscribers", lambda self: None)
    monkeypatch.setattr(client.AuroraClient, "_init_publishers", lambda self: None)
    monkeypatch.setattr(client.AuroraClient, "_init_service_clients", lambda self: None)
    first, second = open_client(Options()), open_client(Options())
    assert first is not second
    assert client.AuroraClient._instance is None


def test_a_machine_on_which_the_client_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch):
    def fail(name: str, *arguments: object) -> object:
        if name == "fourier_aurora_client.client":
            raise ImportError("libfastcdr.so.2: wrong ELF class")
        return imported(name, *arguments)

    import builtins

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ZooError, match=r"(?s)wrong ELF class.*x86-64"):
        open_client(Options())
