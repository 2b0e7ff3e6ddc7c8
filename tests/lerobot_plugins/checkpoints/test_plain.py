"""Plain policies: averaged weights in place of raw ones, adapters merged into their base."""

import json
from pathlib import Path

import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tiny_policies import observation_batch, processors, tiny_policy

from lerobot_plugins.checkpoints.merge_lora import merge_lora
from lerobot_plugins.checkpoints.plain import export_plain
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError

TYPE = "paligemma_flow"


def save(policy, folder: Path) -> Path:
    policy.save_pretrained(folder)
    for processor in processors(policy.config):
        processor.save_pretrained(folder)
    return folder


@pytest.fixture
def trained(tmp_path) -> Path:
    """A policy folder in which some weights have averages."""
    folder = save(tiny_policy(TYPE), tmp_path / "trained")
    weights = load_file(folder / "model.safetensors")
    averaged = {f"ema.{name}": value + 1 for name, value in weights.items() if name.startswith("action_head")}
    save_file(weights | averaged, folder / "model.safetensors")
    return folder


def test_averages_become_the_weights(trained, tmp_path, capsys):
    assert main(["checkpoint", "export", str(trained), f"--output={tmp_path / 'plain'}", "--ema"]) == 0
    before, after = load_file(trained / "model.safetensors"), load_file(tmp_path / "plain/model.safetensors")
    averaged = {name for name in after if f"ema.{name}" in before}
    assert f"{len(averaged)} averaged tensors" in capsys.readouterr().out
    assert averaged
    assert set(after) == {name for name in before if not name.startswith("ema.")}
    for name, value in after.items():
        assert torch.equal(value, before[f"ema.{name}" if name in averaged else name])
    config = PreTrainedConfig.from_pretrained(tmp_path / "plain")
    get_policy_class(TYPE).from_pretrained(tmp_path / "plain")
    pre, _ = make_pre_post_processors(config, pretrained_path=str(tmp_path / "plain"))
    assert pre.steps[-1].stats_hash


def test_a_trained_average_acts_as_the_weights_of_a_plain_policy(tmp_path):
    policy = tiny_policy("pi05_comet", ema_decay=0.5)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.05)
    policy.update()
    folder = save(policy, tmp_path / "trained")
    averaged = export_plain(folder, tmp_path / "plain", ema=True)
    assert averaged == sum(parameter.requires_grad for parameter in policy.parameters())
    plain = get_policy_class("pi05_comet").from_pretrained(tmp_path / "plain")
    assert plain.config.ema_decay is None
    observation = observation_batch(policy.config)
    noise = torch.randn(3, policy.config.chunk_size, policy.config.action_width)
    expected = policy.predict_action_chunk(observation, noise=noise)
    assert torch.equal(plain.predict_action_chunk(observation, noise=noise), expected)


def test_without_ema_the_raw_weights_stay(trained, tmp_path):
    assert export_plain(trained, tmp_path / "plain") == 0
    before, after = load_file(trained / "model.safetensors"), load_file(tmp_path / "plain/model.safetensors")
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert not any(name.startswith("ema.") for name in after)


def test_averages_that_do_not_exist_are_refused(tmp_path):
    folder = save(tiny_policy(TYPE), tmp_path / "trained")
    with pytest.raises(ZooError, match=r"(?s)no averages.*--policy\.ema_decay"):
        export_plain(folder, tmp_path / "plain", ema=True)
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"ema.gone": torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(ZooError, match=r"fit no weights(.|\n)*ema\.gone"):
        export_plain(folder, tmp_path / "plain")
    assert not list(tmp_path.glob("plain*"))


@pytest.fixture
def adapter(tmp_path) -> Path:
    return write_adapter(TYPE, tmp_path)


def write_adapter(policy_type: str, tmp_path: Path) -> Path:
    """An adapter on a base, with weights that matter, as lerobot-train writes it."""
    base = save(tiny_policy(policy_type), tmp_path / "base")
    policy = get_policy_class(policy_type).from_pretrained(base)
    policy.config.pretrained_path = base
    wrapped = policy.wrap_with_peft(peft_cli_overrides={"r": 4})
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 if "lora_" in name else 0.01)
    folder = tmp_path / "adapter"
    wrapped.save_pretrained(folder)
    wrapped.config.save_pretrained(folder)
    for processor in processors(policy.config):
        processor.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("policy_type", ["paligemma_flow", "pi05_comet"])
def test_a_merged_policy_acts_as_base_and_adapter_do(policy_type, tmp_path, capsys):
    adapter = write_adapter(policy_type, tmp_path)
    policy = get_policy_class(policy_type).from_pretrained(tmp_path / "base")
    observation = observation_batch(policy.config)
    noise = torch.randn(3, policy.config.chunk_size, policy.config.action_width)
    base = policy.predict_action_chunk(observation, noise=noise)
    policy.reset()  # the dims beyond the action's draw their noise by the number of chunks so far
    adapted = PeftModel.from_pretrained(policy, adapter).predict_action_chunk(observation, noise=noise)

    assert main(["checkpoint", "merge-lora", str(adapter), f"--output={tmp_path / 'merged'}"]) == 0
    assert "adapted layers merged" in capsys.readouterr().out
    merged = get_policy_class(policy_type).from_pretrained(tmp_path / "merged")
    assert not merged.config.use_peft
    found = merged.predict_action_chunk(observation, noise=noise)
    torch.testing.assert_close(found, adapted, rtol=1e-4, atol=1e-5)
    assert (found - base).abs().max() > 100 * (found - adapted).abs().max()
    _, post = make_pre_post_processors(merged.config, pretrained_path=str(tmp_path / "merged"))
    assert post.steps[0].stats_hash


def test_an_adapter_that_does_not_fit_its_base_is_refused(adapter, tmp_path):
    weights = load_file(adapter / "adapter_model.safetensors")
    lost = next(name for name in weights if "lora_A" in name)
    save_file(
        {name: value for name, value in weights.items() if name != lost},
        adapter / "adapter_model.safetensors",
    )
    with pytest.raises(ZooError, match=f"missing: {lost}"):
        merge_lora(adapter, tmp_path / "merged")
    assert not list(tmp_path.glob("merged*"))


def test_a_base_that_is_gone_is_named(adapter, tmp_path):
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(tmp_path / "gone")
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ZooError, match=f"base of the adapter is not there(.|\n)*{tmp_path / 'gone'}"):
        merge_lora(adapter, tmp_path / "merged")


def test_a_whole_policy_is_no_adapter(tmp_path):
    folder = save(tiny_policy(TYPE), tmp_path / "whole")
    with pytest.raises(ZooError, match="holds no adapter"):
        merge_lora(folder, tmp_path / "merged")
