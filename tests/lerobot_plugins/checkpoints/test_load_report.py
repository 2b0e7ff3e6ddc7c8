"""Every tensor of a file and of a module is accounted for."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lerobot_plugins.checkpoints.load_report import load_weights
from lerobot_plugins.errors import ZooError


def module() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    net[0].requires_grad_(False).bfloat16()
    return net


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {name: torch.full_like(value, 2) for name, value in module().state_dict().items()}


def load(tmp_path: Path, tensors: dict[str, torch.Tensor], into: nn.Module | None = None, **names):
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    return load_weights(into or module(), path, **names)


def test_all_tensors_are_copied_buffers_too(tmp_path, tensors):
    net = module()
    report = load(tmp_path, tensors, net).require_complete("here")
    assert all((value == 2).all() for value in net.state_dict().values())
    assert report.loaded == sorted(tensors)
    assert report.converted == []
    assert report.problems == {}


def test_dtypes_of_the_module_win_and_are_reported(tmp_path, tensors):
    net = module()
    report = load(tmp_path, tensors | {"0.bias": torch.ones(2)}, net)
    assert net[0].bias.dtype == torch.bfloat16
    assert report.converted == ["0.bias (torch.float32 -> torch.bfloat16)"]
    assert report.problems == {}


def test_every_kind_of_problem_is_named(tmp_path, tensors):
    del tensors["0.bias"]
    tensors |= {
        "extra": torch.ones(1),
        "0.weight": torch.ones(2, 4),
        "1.weight": torch.tensor([1.0, float("nan")]),
    }
    report = load(tmp_path, tensors)
    assert report.problems == {
        "missing": ["0.bias"],
        "unexpected": ["extra"],
        "mis-shaped": ["0.weight ((2, 4), (2, 3))"],
        "not finite": ["1.weight"],
    }
    with pytest.raises(
        ZooError, match=r"weights in HERE (.|\n)*1 missing: 0\.bias(.|\n)*1 not finite: 1\.weight"
    ):
        report.require_complete("HERE")


def drop_prefix(stored: str) -> str | None:
    return None if stored == "old.head" else stored.removeprefix("old.")


def test_tensors_are_found_under_the_names_of_another_layout(tmp_path, tensors):
    net = module()
    stored = {f"old.{name}": value for name, value in tensors.items()} | {"old.head": torch.ones(1)}
    report = load(tmp_path, stored, net, rename=drop_prefix).require_complete("here")
    assert all((value == 2).all() for value in net.state_dict().values())
    assert report.loaded == sorted(tensors)
    assert report.set_aside == ["old.head"]


def test_two_stored_names_of_one_tensor_are_refused(tmp_path, tensors):
    report = load(tmp_path, tensors | {"old.0.bias": torch.ones(2)}, rename=drop_prefix)
    assert report.problems == {"unexpected": ["old.0.bias"]}


TIES = {"0.alias": "0.bias"}


def test_an_alias_is_the_source_of_an_absent_tensor(tmp_path, tensors):
    net = module()
    tensors["0.alias"] = tensors.pop("0.bias")
    report = load(tmp_path, tensors, net, ties=TIES).require_complete("here")
    assert report.tied == ["0.bias"]
    assert (net[0].bias == 2).all()


def test_a_tensor_and_its_alias_must_be_equal(tmp_path, tensors):
    same = load(tmp_path, tensors | {"0.alias": tensors["0.bias"].clone()}, ties=TIES)
    assert same.problems == {}
    assert same.tied == []
    different = load(tmp_path, tensors | {"0.alias": tensors["0.bias"] + 1}, ties=TIES)
    assert different.problems == {"tied but different": ["0.alias and 0.bias"]}


def test_an_alias_that_its_writer_does_not_keep_equal_is_set_aside(tmp_path, tensors):
    report = load(tmp_path, tensors | {"0.alias": tensors["0.bias"] + 1}, ties=TIES, untied={"0.alias"})
    assert report.problems == {}
    assert report.set_aside == ["0.alias"]


def test_an_alias_of_nothing_is_unexpected(tmp_path, tensors):
    report = load(tmp_path, tensors | {"0.alias": torch.ones(2)}, ties={"0.alias": "elsewhere"})
    assert report.problems == {"unexpected": ["0.alias"]}


@pytest.mark.parametrize("damage", ["absent", "short", "garbage"])
def test_an_unreadable_file_is_refused_by_its_path(tmp_path, tensors, damage):
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(content[:-10] if damage == "short" else b"\xff" * 100)
    with pytest.raises(ZooError, match=rf"cannot read weights from {path}"):
        load_weights(module(), path)
