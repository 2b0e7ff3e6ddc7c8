"""A safetensors file written tensor by tensor is the file that safetensors itself writes."""

import hashlib

import pytest
import torch
from safetensors.torch import load_file

from lerobot_plugins.checkpoints.safetensors_stream import SafetensorsStream
from lerobot_plugins.errors import ZooError

TENSORS = {
    "b": torch.randn(3, 5).T,
    "a": torch.randn(7),
    "scalar": torch.tensor(2.0),
    "empty": torch.zeros(0, 4),
}


def announced(dtype: torch.dtype = torch.float32) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    return {name: (tuple(value.shape), dtype) for name, value in TENSORS.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_safetensors_reads_what_was_written_in_any_order(tmp_path, dtype):
    path = tmp_path / "model.safetensors"
    with SafetensorsStream(path, announced(dtype)) as stream:
        sums = {name: stream.write(name, value) for name, value in TENSORS.items()}
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    loaded = load_file(path)
    assert set(loaded) == set(TENSORS)
    for name, value in TENSORS.items():
        expected = value.to(dtype).contiguous()
        assert loaded[name].dtype == expected.dtype
        assert torch.equal(loaded[name], expected)
        content = loaded[name].reshape(-1).view(torch.uint8).numpy().tobytes()
        assert sums[name] == hashlib.sha256(content).hexdigest()


def test_dtypes_may_be_mixed(tmp_path):
    mixed = {"half": torch.ones(3).bfloat16(), "step": torch.tensor(7), "on": torch.tensor([True, False])}
    described = {name: (tuple(value.shape), value.dtype) for name, value in mixed.items()}
    with SafetensorsStream(tmp_path / "mixed.safetensors", described) as stream:
        for name, value in mixed.items():
            stream.write(name, value)
    loaded = load_file(tmp_path / "mixed.safetensors")
    assert all(torch.equal(loaded[name], value) for name, value in mixed.items())


def write_and_fail(path) -> None:
    with SafetensorsStream(path, announced()) as stream:
        stream.write("a", TENSORS["a"])
        raise RuntimeError("power cut")


def test_an_exception_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError, match="power cut"):
        write_and_fail(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_noticed_before_writing(tmp_path):
    path = tmp_path / "model.safetensors"
    with (
        pytest.raises(ZooError, match=r"(?s)no room for .*model.safetensors.*bfloat16"),
        SafetensorsStream(path, {"huge": ((10**9, 10**6), torch.float32)}),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
