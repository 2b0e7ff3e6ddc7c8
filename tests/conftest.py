"""One environment for all tests: no network, temporary caches, two threads, plugins registered."""

import functools
import os
import tempfile
from pathlib import Path

# Before torch, LeRobot and huggingface_hub are imported: they read these once.
_CACHES = tempfile.TemporaryDirectory(prefix="lerobot-plugins-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"
# Uploads go through Git LFS, which the Hub of the tests speaks.
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HOME"] = f"{_CACHES.name}/huggingface"
os.environ["HF_LEROBOT_HOME"] = f"{_CACHES.name}/lerobot"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Idle OpenMP threads must not spin: on a shared machine that slows a training step by a factor of 50.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Two cores, for one process or for two workers.
os.environ["OMP_NUM_THREADS"] = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"

from collections.abc import Iterator  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from draccus.wrappers import docstring  # noqa: E402

import lerobot_policy_zoo  # noqa: E402, F401  registers every plugin with LeRobot

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
# Each parse of a LeRobot command reads the comments of a thousand options out of the sources of classes,
# a second for the same answer.
docstring.get_attribute_docstring = functools.cache(docstring.get_attribute_docstring)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Root of the source tree."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy dataset that tests read and never write."""
    from toy_data import write_toy_dataset

    root = tmp_path_factory.mktemp("toy") / "dataset"
    write_toy_dataset(root)
    return root


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """An empty Hub on loopback, a token for it, and an empty cache."""
    from hub_server import TOKEN, Hub, empty_cache

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    empty_cache(monkeypatch, tmp_path / "hub-cache")
    hub = Hub()
    with hub.leads_here():
        yield hub
    hub.close()
