"""Every policy type goes to the Hub and comes back the same."""

import json
import shutil

import draccus
import pytest
import torch
from hub_server import empty_cache
from huggingface_hub import ModelCard, constants
from huggingface_hub.errors import HfHubHTTPError
from lerobot.configs import PreTrainedConfig
from lerobot.configs.default import DatasetConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from peft import PeftConfig, PeftModel
from tiny_policies import processors, raw_batch

from lerobot_plugins.checkpoints.card import licence_of, sections
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError

REPO = "user/policy"


def push(policy, repo_id: str = REPO, **adapter) -> None:
    """What lerobot-train does at its end with --policy.push_to_hub=true."""
    policy.config.repo_id = repo_id
    cfg = TrainPipelineConfig(DatasetConfig("user/data"), policy=policy.config)
    policy.push_model_to_hub(cfg, **adapter)
    for pipeline in processors(policy.config):
        pipeline.push_to_hub(repo_id)


def loaded(repo_id: str):
    """As --policy.path=user/policy does; an adapter comes on the base that it names."""
    config = PreTrainedConfig.from_pretrained(repo_id)
    config.pretrained_path = repo_id
    policy_class = get_policy_class(config.type)
    if not config.use_peft:
        return policy_class.from_pretrained(repo_id, config=config)
    base = PeftConfig.from_pretrained(repo_id).base_model_name_or_path
    return PeftModel.from_pretrained(policy_class.from_pretrained(base, config=config), repo_id)


def observed(config) -> dict:
    only_training = ("action", "action_is_pad", "index", "episode_index")
    return {key: value for key, value in raw_batch(config).items() if key not in only_training}


def test_it_comes_back_the_same(policy, hub, monkeypatch, tmp_path):
    before, after = processors(policy.config)
    expected = after(policy.predict_action_chunk(before(observed(policy.config))))
    push(policy)
    empty_cache(monkeypatch, tmp_path / "another-machine")

    found = loaded(REPO)
    before, after = make_pre_post_processors(found.config, REPO)
    assert torch.equal(after(found.predict_action_chunk(before(observed(found.config)))), expected)
    assert found.state_dict().keys() == policy.state_dict().keys()


@pytest.mark.slow
def test_an_adapter_comes_back_on_its_base_of_the_hub(policy, hub, monkeypatch, tmp_path):
    """The base is named by its id, so that the adapter is worth something to others."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # PEFT asks for it
    push(policy, "user/base")
    policy.config.pretrained_path = "user/base"
    wrapped = policy.wrap_with_peft(peft_cli_overrides={"r": 2})
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.1)
    push(wrapped, peft_model=wrapped)
    before, _ = processors(policy.config)
    expected = wrapped.predict_action_chunk(before(observed(policy.config)))
    empty_cache(monkeypatch, tmp_path / "another-machine")

    files = hub.model(REPO).files
    assert "adapter_model.safetensors" in files
    assert "model.safetensors" not in files
    assert json.loads(files["adapter_config.json"].content)["base_model_name_or_path"] == "user/base"
    before, _ = make_pre_post_processors(policy.config, REPO)
    found, observation = loaded(REPO), before(observed(policy.config))
    assert torch.equal(found.predict_action_chunk(observation), expected)
    found.reset()
    with found.disable_adapter():
        assert not torch.equal(found.predict_action_chunk(observation), expected)


def test_its_card_says_what_it_is(policy, hub):
    push(policy)
    card = ModelCard(hub.model(REPO).files["README.md"].content.decode())
    assert card.data.license == "apache-2.0"  # these weights began at random
    assert {"lerobot", "robotics", policy.config.type} <= set(card.data.tags)
    assert card.data.datasets == "user/data"
    for heading in ("Base weights and licence", "Data and normalisation", "Training", "Measured", "Limits"):
        assert f"## {heading}\n" in card.content
    assert "The weights began at random" in card.content
    assert f"| state is normalised by | {policy.config.state_normalization} |" in card.content
    assert "pip install lerobot_policy_zoo" in card.content


def test_gemmas_terms_go_with_its_weights(policy):
    policy.config.init_from, policy.config.license = "google/paligemma-3b-pt-224", None
    assert licence_of(policy.base_weights(policy.config)) == "gemma"
    text = sections(draccus.encode(policy.config), None, "google/paligemma-3b-pt-224")
    assert "https://ai.google.dev/gemma/terms" in text
    assert "| dataset | unknown |" in text


def test_an_upload_that_breaks_off_leaves_no_policy(policy, hub, monkeypatch, tmp_path):
    hub.fault = lambda method, path: 500 if "/commit/" in path else None
    with pytest.raises(HfHubHTTPError):
        push(policy)
    assert list(hub.model(REPO).files) in ([], [".gitattributes"])
    hub.fault = lambda method, path: None
    empty_cache(monkeypatch, tmp_path / "another-machine")
    with pytest.raises(Exception, match=r"config.json|404"):
        PreTrainedConfig.from_pretrained(REPO)


HOSTILE = [
    "../outside.safetensors",
    "/etc/passwd",
    "a/../../outside.safetensors",
    "..\\outside.safetensors",
    "C:\\outside.safetensors",
    "x" * 300 + ".safetensors",
    "nul\0.safetensors",
]


@pytest.fixture
def checkpoint(policy, tmp_path):
    """A policy's folder, beside statistics that are not its own."""
    folder = tmp_path / "checkpoint"
    policy.save_pretrained(folder)
    for pipeline in processors(policy.config):
        pipeline.save_pretrained(folder)
    shutil.copy(state_file(folder), tmp_path / "outside.safetensors")
    return folder


def state_file(folder):
    return next(folder.glob("policy_preprocessor*.safetensors"))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_processor_that_names_a_file_elsewhere_is_refused(policy, checkpoint, name):
    path = checkpoint / "policy_preprocessor.json"
    content = json.loads(path.read_text())
    next(step for step in content["steps"] if "state_file" in step)["state_file"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(ZooError, match="names a file outside of its folder"):
        type(policy).from_pretrained(checkpoint)


def test_a_link_out_of_the_checkpoint_is_refused(policy, checkpoint):
    stored = state_file(checkpoint)
    stored.unlink()
    stored.symlink_to(checkpoint.parent / "outside.safetensors")
    with pytest.raises(ZooError, match="is a link out of its folder"):
        type(policy).from_pretrained(checkpoint)


def test_a_hostile_policy_of_the_hub_is_refused(policy, checkpoint, hub):
    content = (checkpoint / "policy_preprocessor.json").read_text()
    hostile = content.replace(state_file(checkpoint).name, "../outside.safetensors")
    files = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    hub.put(REPO, files | {"policy_preprocessor.json": hostile.encode()})
    with pytest.raises(ZooError, match="names a file outside of its folder"):
        type(policy).from_pretrained(REPO)


def test_a_policy_that_cannot_be_looked_at_is_not_loaded(policy, checkpoint, hub, monkeypatch):
    """LeRobot might get the processor that this project could not."""
    hub.put(REPO, {path.name: path.read_bytes() for path in checkpoint.iterdir()})
    hub.fault = lambda method, path: 403 if "preprocessor.json" in path else None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ZooError, match=r"has policy_preprocessor\.json cannot be told"):
        type(policy).from_pretrained(REPO)


def test_the_card_is_written_anew_with_metrics(policy, checkpoint, tmp_path, capsys):
    metrics: dict = {"complete": True, "dataset": {"repo_id": "me/held_out"}}
    metrics["counts"] = {"episodes": 2, "frames": 90}
    metrics["executed"] = {"normalized": {"mae": 0.125}, "raw": {"mae": 0.5}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert main(["checkpoint", "card", str(checkpoint), "--metrics", str(tmp_path / "metrics.json")]) == 0
    card = ModelCard((checkpoint / "README.md").read_text())
    assert card.data.license == "apache-2.0"
    assert "| dataset | me/held_out |" in card.content
    assert "| MAE, executed, normalised to [-1, 1] | 0.125 |" in card.content
    assert "| MAE, whole chunks, normalised | unknown |" in card.content
