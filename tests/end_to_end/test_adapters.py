"""LoRA through stock `lerobot-train --peft`: a base first, then train, resume, reload, fine-tune."""

import json
from pathlib import Path

import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.policies import make_policy
from safetensors.torch import load_file
from tiny_policies import observation_batch
from training import TINY, Run, differences, interrupted_after, resume, train

from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime

LORA = ("--peft.method_type=LORA", "--peft.r=4", "--policy.push_to_hub=false")


@pytest.fixture(scope="module")
def base(toy_root, tmp_path_factory) -> Path:
    """What `lerobot-plugins checkpoint init` writes."""
    folder = tmp_path_factory.mktemp("lora") / "base"
    dataset = ("--dataset.repo_id=local/toy", f"--dataset.root={toy_root}")
    assert main(["checkpoint", "init", *TINY, *dataset, f"--output={folder}"]) == 0
    runtime.bind(None, None)
    return folder


@pytest.fixture(scope="module")
def adapted(base, toy_root, tmp_path_factory) -> Run:
    """Four steps on the base, which is named through a link."""
    folder = tmp_path_factory.mktemp("adapted")
    (folder / "last").symlink_to(base)
    output = folder / "run"
    return train(toy_root, output, f"--policy.path={folder / 'last'}", *LORA)


def loaded(policy: Path, root: Path) -> torch.nn.Module:
    """As --policy.path loads it."""
    config = PreTrainedConfig.from_pretrained(policy)
    config.pretrained_path = policy
    made = make_policy(config, ds_meta=LeRobotDatasetMetadata("local/toy", root=root)).eval()
    runtime.bind(None, None)
    return made


def test_only_adapter_and_heads_are_written(adapted):
    names = load_file(adapted.policy() / "adapter_model.safetensors").keys()
    assert not (adapted.policy() / "model.safetensors").exists()
    assert any("lora_A" in name for name in names)
    assert all("lora_" in name or "action_head" in name or "context_norm" in name for name in names)


def test_the_base_is_stored_absolute_and_without_links(adapted, base):
    config = json.loads((adapted.policy() / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base.resolve())


def test_it_reloads_through_the_policy_path(adapted, base, toy_root):
    policy = loaded(adapted.policy(), toy_root)
    assert policy.config.trained_steps == 4
    observation = observation_batch(policy.config)
    noise = torch.randn(3, policy.config.chunk_size, policy.config.action_width)
    chunk = policy.predict_action_chunk(observation, noise=noise)
    assert torch.equal(
        chunk, loaded(adapted.policy(), toy_root).predict_action_chunk(observation, noise=noise)
    )
    assert not torch.equal(chunk, loaded(base, toy_root).predict_action_chunk(observation, noise=noise))


def test_it_resumes_exactly(adapted, tmp_path):
    resumed = resume(interrupted_after(adapted, 2, tmp_path / "run"))
    assert resumed.losses == adapted.losses[2:]
    assert differences(adapted.checkpoint(4), resumed.checkpoint(4)) == [
        "training_state/rng_state.safetensors:torch_rng_state"
    ]


def test_without_a_base_it_is_refused_with_the_command(toy_root, tmp_path):
    with pytest.raises(ZooError, match="lerobot-plugins checkpoint init"):
        train(toy_root, tmp_path / "run", *TINY, *LORA)
