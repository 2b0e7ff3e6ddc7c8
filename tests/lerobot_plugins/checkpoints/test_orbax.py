"""Orbax directories are read through tensorstore alone; unfinished and damaged ones are refused."""

import json
import shutil
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import tensorstore as ts
from openpi_tree import write_orbax

from lerobot_plugins.checkpoints.orbax import open_tree
from lerobot_plugins.errors import ZooError

TREE = {
    "a/kernel": np.arange(60 * 3, dtype=np.float32).reshape(60, 3),
    "a/bias": np.zeros(3, np.float32),
    "b/w": np.linspace(-1, 1, 8).astype(ml_dtypes.bfloat16),
    "step": np.array(7, np.int32),
}


@pytest.fixture
def saved(tmp_path) -> Path:
    return write_orbax(tmp_path / "params", TREE)


@pytest.mark.parametrize("value", [False, True])
def test_every_leaf_comes_back_with_its_path_shape_and_dtype(tmp_path, value):
    leaves = open_tree(write_orbax(tmp_path / "params", TREE, value=value))
    assert sorted(leaves) == sorted(f"params/{name}" for name in TREE)
    for name, array in TREE.items():
        leaf = leaves[f"params/{name}"]
        assert leaf.shape == array.shape
        assert leaf.dtype == str(array.dtype)
        assert leaf.read().dtype == np.float32
        np.testing.assert_array_equal(leaf.read(), array.astype(np.float32))


@pytest.mark.parametrize("name", ["5.orbax-checkpoint-tmp-0/params", "5/params.orbax-checkpoint-tmp-2"])
def test_a_temporary_directory_is_refused_as_never_committed(saved, tmp_path, name):
    temporary = tmp_path / name
    temporary.parent.mkdir()
    shutil.move(saved, temporary)
    with pytest.raises(
        ZooError, match=r"(?s)not a finished checkpoint.*tmp-\d.*never committed.*earlier step"
    ):
        open_tree(temporary)


@pytest.mark.parametrize("name", ["_METADATA", "manifest.ocdbt"])
def test_a_directory_without_what_is_written_last_is_refused(saved, name):
    (saved / name).unlink()
    with pytest.raises(ZooError, match=f"(?s){name} is missing.*never committed"):
        open_tree(saved)


def test_a_leaf_of_the_metadata_without_an_array_is_named(saved):
    content = json.loads((saved / "_METADATA").read_text())
    entry = {"key_metadata": [{"key": "params"}, {"key": "lost"}], "value_metadata": {}}
    content["tree_metadata"]["lost"] = entry
    (saved / "_METADATA").write_text(json.dumps(content))
    with pytest.raises(ZooError, match=r"(?s)damaged.*params\.lost"):
        open_tree(saved)


def test_an_absent_chunk_is_never_read_as_zeros(saved):
    base = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{saved}/"}}
    ts.KvStore.open(base).result().write(b"params.a.kernel/0.0", None).result()
    with pytest.raises(
        ZooError, match=r"(?s)damaged.*params\.a\.kernel has 3 of its 4 chunks|1 of its 2 chunks"
    ):
        open_tree(saved)


def test_metadata_that_is_no_tree_is_refused(saved):
    (saved / "_METADATA").write_text("{")
    with pytest.raises(ZooError, match="damaged"):
        open_tree(saved)


def test_cut_data_is_an_error(saved):
    for file in (saved / "d").iterdir():
        file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(ZooError, match=r"damaged|cannot be read"):
        [leaf.read() for leaf in open_tree(saved).values()]


def test_without_tensorstore_the_extra_is_named(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    with pytest.raises(ZooError, match=r"pip install 'lerobot_policy_zoo\[openpi\]'"):
        open_tree(saved)
