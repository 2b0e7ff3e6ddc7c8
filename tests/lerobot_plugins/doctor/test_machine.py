"""Video, GPU and disk on machines that are not this one."""

from types import SimpleNamespace

import av
import pytest
import torch

from lerobot_plugins.doctor import machine


def test_torchcodec_that_does_not_load_means_pyav(monkeypatch):
    def fail(name):
        raise RuntimeError("Could not load libtorchcodec\nand forty more lines")

    monkeypatch.setattr(machine.importlib, "import_module", fail)
    finding = machine.check_video()
    assert finding.state == "warning"
    assert "pyav" in finding.detail
    assert "\n" not in finding.detail
    assert "--dataset.video_backend=pyav" in finding.do


def test_torchcodec_that_loads_is_used(monkeypatch):
    monkeypatch.setattr(machine.importlib, "import_module", lambda name: None)
    assert machine.check_video().state == "ok"


def test_pyav_without_the_encoder_is_a_problem(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"h264"})
    finding = machine.check_video()
    assert finding.state == "problem"
    assert "libsvtav1" in finding.detail


@pytest.mark.parametrize(("bf16", "state"), [(True, "ok"), (False, "warning")])
def test_a_gpu_is_described(monkeypatch, bf16, state):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    gpu = SimpleNamespace(name="Tesla", total_memory=16e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    finding = machine.check_gpu()
    assert finding.state == state
    assert finding.detail.startswith("Tesla with 16 GB, Tesla with 16 GB; ")


def test_no_gpu_says_what_to_pass(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    finding = machine.check_gpu()
    assert finding.state == "warning"
    assert "--policy.device=cpu" in finding.do


@pytest.mark.parametrize(("free", "state"), [(100e9, "ok"), (5e9, "warning"), (0.5e9, "problem")])
def test_room_on_the_disk(monkeypatch, free, state):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    assert machine.check_disk().state == state


def test_a_home_that_cannot_be_written(monkeypatch):
    monkeypatch.setattr(machine.os, "access", lambda folder, mode: False)
    finding = machine.check_disk()
    assert finding.state == "problem"
    assert "not writable" in finding.detail
