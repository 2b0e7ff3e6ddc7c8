"""`head_type=mlp` in a policy: trains, comes back from a checkpoint. The head itself: test_head.py."""

import pytest
import torch
from tiny_paligemma import micro_geometry
from tiny_policies import observation_batch, tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"


def test_a_policy_with_it_trains_and_comes_back(tmp_path):
    policy = tiny_policy(TYPE, vlm_config=micro_geometry(), head_type="mlp", mlp_hidden_dims=[24, 16])
    assert policy.config.resolved_dropout == 0.1
    assert "PaligemmaFlowBlock" not in policy._no_split_modules
    policy.train()(training_batch(policy.config))[0].backward()
    assert [n for n, p in policy.named_parameters() if p.requires_grad and p.grad is None] == []
    batch = observation_batch(policy.config)
    expected = policy.predict_action_chunk(batch)
    policy.save_pretrained(tmp_path)
    assert torch.equal(PaliGemmaFlowPolicy.from_pretrained(tmp_path).predict_action_chunk(batch), expected)


@pytest.mark.parametrize(
    "changes",
    [{"head_type": "unet"}, {"mlp_hidden_dims": []}, {"mlp_hidden_dims": [0]}, {"head_dropout": 1.0}],
)
def test_wrong_values_are_refused_at_once(changes):
    with pytest.raises(ZooError, match=next(iter(changes))):
        tiny_config(TYPE, **changes)
