"""Every policy type goes to the Hub and comes back the same."""

import pytest
import torch
from hub_server import empty_cache
from lerobot.configs import PreTrainedConfig
from lerobot.configs.default import DatasetConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from tiny_policies import processors, raw_batch

REPO = "user/policy"


def push(policy) -> None:
    """What lerobot-train does at its end with --policy.push_to_hub=true."""
    policy.config.repo_id = REPO
    policy.push_model_to_hub(TrainPipelineConfig(DatasetConfig("user/data"), policy=policy.config))
    for pipeline in processors(policy.config):
        pipeline.push_to_hub(REPO)


def observed(config) -> dict:
    only_training = ("action", "action_is_pad", "index", "episode_index")
    return {key: value for key, value in raw_batch(config).items() if key not in only_training}


def test_it_comes_back_the_same(policy, hub, monkeypatch, tmp_path):
    before, after = processors(policy.config)
    expected = after(policy.predict_action_chunk(before(observed(policy.config))))
    push(policy)
    empty_cache(monkeypatch, tmp_path / "another-machine")

    # As --policy.path=user/policy does.
    config = PreTrainedConfig.from_pretrained(REPO)
    config.pretrained_path = REPO
    loaded = get_policy_class(config.type).from_pretrained(REPO, config=config)
    before, after = make_pre_post_processors(config, REPO)
    assert torch.equal(after(loaded.predict_action_chunk(before(observed(config)))), expected)
    assert loaded.state_dict().keys() == policy.state_dict().keys()
