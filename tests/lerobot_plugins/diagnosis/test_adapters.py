"""LoRA adapters against their base, and merged policies against both."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_policies import processors, tiny_policy

from lerobot_plugins.checkpoints.merge_lora import merge_lora
from lerobot_plugins.cli.main import main
from lerobot_plugins.diagnosis.adapters import adapted_layers
from lerobot_plugins.diagnosis.stored import stored_weights
from lerobot_plugins.diagnosis.weights import diagnose
from lerobot_plugins.errors import ZooError

ADAPTER = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lora") / "base"
    policy = tiny_policy("paligemma_flow")
    policy.save_pretrained(folder)
    for pipeline in processors(policy.config):
        pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def untrained(base) -> Path:
    """An adapter as --peft begins: B is zero."""
    policy = type(tiny_policy("paligemma_flow")).from_pretrained(base)
    policy.config.pretrained_path = base
    wrapped = policy.wrap_with_peft(peft_cli_overrides={"r": 4, "lora_alpha": 8})
    folder = base.parent / "untrained"
    wrapped.save_pretrained(folder)
    policy.config.save_pretrained(folder)
    for pipeline in processors(policy.config):
        pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(untrained) -> Path:
    folder = shutil.copytree(untrained, untrained.parent / "adapter")
    tensors = load_file(folder / ADAPTER)
    torch.manual_seed(0)
    for name in tensors:
        if "lora_B" in name:
            tensors[name] = 0.01 * torch.randn_like(tensors[name])
    save_file(tensors, folder / ADAPTER, metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def merged(adapter) -> Path:
    merge_lora(adapter, adapter.parent / "merged")
    return adapter.parent / "merged"


def test_an_untrained_adapter_adds_nothing(untrained):
    found = diagnose(untrained, progress=False)
    (finding,) = found.findings
    assert finding.startswith(f"{len(found.adapted)} adapted layers add nothing, as if never trained")


def test_what_a_layer_adds_is_the_norm_of_the_product(adapter, base):
    found = adapted_layers(stored_weights(adapter), stored_weights(base))
    tensors, weights = load_file(adapter / ADAPTER), load_file(base / "model.safetensors")
    assert len(found) == sum("lora_A" in name for name in tensors)
    for layer in found:
        a, b = (tensors[f"base_model.model.{layer.name}.lora_{part}.weight"] for part in "AB")
        added = 8 / 4 * (b @ a)
        assert layer.norm == pytest.approx(float(added.norm()), rel=1e-5)
        assert layer.relative == pytest.approx(
            float(added.norm() / weights[f"{layer.name}.weight"].norm()), rel=1e-5
        )
    assert diagnose(adapter, progress=False).findings == []


def test_a_merged_policy_is_base_plus_adapter(merged, adapter, capsys):
    assert main(["diagnose-weights", str(merged), f"--adapter={adapter}"]) == 0
    assert "layers are base plus adapter" in capsys.readouterr().out


def test_a_wrong_merge_is_named(merged, adapter, base, tmp_path):
    found = diagnose(base, adapter=adapter, progress=False)
    (finding,) = found.findings
    assert finding.startswith(f"{len(found.adapted)} layers are not base plus adapter")
    one = found.adapted[0].name
    folder = shutil.copytree(merged, tmp_path / "merged")
    tensors = load_file(folder / "model.safetensors")
    tensors[f"{one}.weight"][0, 0] += 1e-3
    save_file(tensors, folder / "model.safetensors")
    assert diagnose(folder, adapter=adapter, progress=False).findings == [
        f"1 layers are not base plus adapter: {one}"
    ]


def test_a_base_that_is_gone_is_a_note_and_a_policy_is_no_adapter(adapter, base, tmp_path):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    config = (folder / "adapter_config.json").read_text()
    (folder / "adapter_config.json").write_text(config.replace(str(base.resolve()), "/gone"))
    found = diagnose(folder, progress=False)
    assert found.findings == []
    assert "the base /gone is not on this machine" in found.notes[-1]
    with pytest.raises(ZooError, match="is no LoRA adapter"):
        diagnose(base, adapter=base, progress=False)
