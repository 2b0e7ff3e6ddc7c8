"""pi0.5 policies become openpi PyTorch checkpoints, and come back bit by bit."""

import json
from pathlib import Path

import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies import make_pre_post_processors
from openpi_checkpoints import ASSET_ID, import_tiny, write_jax_checkpoint
from safetensors.torch import load_file, save_file
from tiny_policies import tiny_policy

from lerobot_plugins.checkpoints.export_openpi import export_openpi
from lerobot_plugins.checkpoints.pi05_names import EMBEDDING, EXPERT_LM_HEAD, LM_HEAD, openpi_name
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.openpi import read_norm_stats


@pytest.fixture(scope="module")
def jax(tmp_path_factory) -> Path:
    return write_jax_checkpoint(tmp_path_factory.mktemp("openpi") / "29999")


@pytest.fixture(scope="module")
def policy(jax, tmp_path_factory) -> Path:
    return import_tiny(jax, tmp_path_factory.mktemp("imported") / "policy")


@pytest.fixture(scope="module")
def exported(policy, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("exported") / "openpi"
    assert main(["checkpoint", "export-openpi", str(policy), f"--output={output}"]) == 0
    return output


def test_import_of_an_export_is_bit_equal(policy, exported, tmp_path):
    again = import_tiny(exported, tmp_path / "policy")
    for name in ("model.safetensors", "config.json"):
        assert (again / name).read_bytes() == (policy / name).read_bytes()
    tensors = [file.name for file in policy.glob("policy_*")]
    assert len(tensors) == 4
    for name in tensors:
        assert (again / name).read_bytes() == (policy / name).read_bytes()


def test_names_are_openpis_with_both_language_heads(policy, exported):
    weights = load_file(exported / "model.safetensors")
    own = load_file(policy / "model.safetensors")
    assert set(weights) == {openpi_name(name) for name in own} | {openpi_name(EXPERT_LM_HEAD)}
    assert not any(name.startswith("model.") for name in weights)
    assert torch.equal(weights[openpi_name(LM_HEAD)], own[EMBEDDING])
    assert EMBEDDING.removeprefix("model.") not in weights
    unused = weights[openpi_name(EXPERT_LM_HEAD)]
    assert unused.shape == (264, 64)
    assert not unused.any()


def test_config_and_statistics_are_where_openpi_looks(jax, exported):
    assert json.loads((exported / "config.json").read_text()) == {
        "action_dim": 32,
        "action_horizon": 32,
        "paligemma_variant": "tiny",
        "action_expert_variant": "tiny",
        "precision": "float32",
    }
    written = read_norm_stats(exported / "assets" / ASSET_ID / "norm_stats.json")
    given = read_norm_stats(jax / "assets" / ASSET_ID / "norm_stats.json")
    for key, entry in written.items():
        for name, value in entry.items():
            assert value.tolist() == given[key][name][:23].tolist()


def test_dtype_and_asset_id_can_be_chosen(policy, tmp_path):
    export_openpi(policy, tmp_path / "half", torch.bfloat16, asset_id="my_robot")
    weights = load_file(tmp_path / "half/model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "half/config.json").read_text())["precision"] == "bfloat16"
    assert (tmp_path / "half/assets/my_robot/norm_stats.json").is_file()


@pytest.mark.parametrize("asset_id", ["../elsewhere", "/etc", "a/../../b"])
def test_an_asset_id_stays_in_the_folder(policy, tmp_path, asset_id):
    with pytest.raises(ZooError, match="no relative path"):
        export_openpi(policy, tmp_path / "openpi", asset_id=asset_id)
    assert list(tmp_path.iterdir()) == []


def test_another_network_is_refused(tmp_path):
    tiny_policy("paligemma_flow").save_pretrained(tmp_path / "flow")
    with pytest.raises(ZooError, match=r"(?s)tensors that openpi's pi0\.5 does not have.*type pi05_comet"):
        export_openpi(tmp_path / "flow", tmp_path / "openpi")


def test_averages_must_be_settled_first(policy, tmp_path):
    folder = tmp_path / "averaged"
    folder.mkdir()
    PreTrainedConfig.from_pretrained(policy).save_pretrained(folder)
    weights = load_file(policy / "model.safetensors")
    bias = "model.time_mlp_in.bias"
    save_file(weights | {f"ema.{bias}": weights[bias].clone()}, folder / "model.safetensors")
    with pytest.raises(ZooError, match=rf"(?s)ema\.{bias}.*checkpoint export {folder}.*--ema"):
        export_openpi(folder, tmp_path / "openpi")


def test_a_folder_without_policy_or_with_an_adapter_is_refused(tmp_path, policy):
    with pytest.raises(ZooError, match="is no policy folder"):
        export_openpi(tmp_path, tmp_path / "openpi")
    PreTrainedConfig.from_pretrained(policy).save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ZooError, match=f"merge-lora {tmp_path}"):
        export_openpi(tmp_path, tmp_path / "openpi")


def test_a_policy_without_statistics_is_refused(tmp_path, policy):
    config = PreTrainedConfig.from_pretrained(policy)
    folder = tmp_path / "policy"
    # As LeRobot builds a policy for an environment: processors that never saw data.
    for processor in make_pre_post_processors(config):
        processor.save_pretrained(folder)
    config.save_pretrained(folder)
    (folder / "model.safetensors").write_bytes((policy / "model.safetensors").read_bytes())
    with pytest.raises(ZooError, match="has no statistics"):
        export_openpi(folder, tmp_path / "openpi")
    assert not list(tmp_path.glob("openpi*"))
