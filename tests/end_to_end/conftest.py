"""Datasets and finished runs that end-to-end tests share."""

from pathlib import Path

import pytest
from toy_data import write_toy_dataset
from training import TINY, Run, train


@pytest.fixture(scope="session")
def other_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of other movements, so of other statistics."""
    root = tmp_path_factory.mktemp("other") / "dataset"
    write_toy_dataset(root, seed=7)
    return root


@pytest.fixture(scope="session")
def uninterrupted(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six steps with checkpoints after 2, 4 and 6."""
    output = tmp_path_factory.mktemp("uninterrupted") / "run"
    return train(toy_root, output, *TINY, "--steps=6")
