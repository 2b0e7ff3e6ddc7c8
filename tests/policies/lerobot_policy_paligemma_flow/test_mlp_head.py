"""`head_type=mlp`: starts at zero, sees everything it should, comes back from a checkpoint."""

from typing import Any

import pytest
import torch
from tiny_paligemma import micro_geometry
from tiny_policies import observation_batch, tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.mlp_head import MLPFlowHead
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"
B, K, T, H, A, P, S, D = 2, 3, 2, 4, 5, 6, 7, 16


def make_head(awake: bool = True, **changes: Any) -> MLPFlowHead:
    torch.manual_seed(0)
    sizes = {"action_width": A, "state_width": P, "state_steps": T, "chunk_size": H, "context_width": D}
    head = MLPFlowHead(
        **sizes | {"hidden_dims": [32, 16], "dropout": 0.1, "min_period": 4e-3, "max_period": 4.0} | changes
    ).eval()
    if awake:
        torch.nn.init.normal_(head.action_out.weight)
    return head


def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask_BS = torch.ones(B, S, dtype=torch.bool)
    mask_BS[-1, 4:] = False
    return {
        "x_RHA": torch.randn(B, H, A, generator=generator),
        "time_R": torch.rand(B, generator=generator),
        "state_BP": torch.randn(B, T, P, generator=generator),
        "context": torch.randn(B, S, D, generator=generator),
        "context_mask_BS": mask_BS,
        "state_mask_BT": torch.tensor([[True, True], [False, True]]),
    }


def velocity(head: MLPFlowHead, **given: torch.Tensor) -> torch.Tensor:
    return head(**given | {"context": head.context_keys_values(given["context"])})


@torch.no_grad()
def test_a_fresh_head_outputs_exactly_zero():
    output = velocity(make_head(awake=False), **inputs())
    assert output.shape == (B, H, A)
    assert not output.any()


@torch.no_grad()
@pytest.mark.parametrize("name", ["x_RHA", "time_R", "state_BP", "context"])
def test_every_input_reaches_every_action(name):
    head, given = make_head(), inputs()
    after = velocity(head, **given | {name: given[name] + 0.3})
    assert ((velocity(head, **given) - after).abs() > 1e-6).all()


@torch.no_grad()
def test_what_is_masked_does_not_matter():
    head, given = make_head(), inputs()
    other = {
        "context": torch.where(given["context_mask_BS"][..., None], given["context"], 9.0),
        "state_BP": torch.where(given["state_mask_BT"][..., None], given["state_BP"], 9.0),
    }
    assert torch.equal(velocity(head, **given), velocity(head, **given | other))
    none = given | {"state_mask_BT": torch.zeros(B, T, dtype=torch.bool)}
    assert torch.equal(velocity(head, **none), velocity(head, **none | {"state_BP": given["state_BP"] + 1}))


@torch.no_grad()
def test_draws_of_an_observation_share_its_prefix():
    head, given = make_head(), inputs()
    x, time = torch.randn(B, K, H, A), torch.rand(B, K)
    together = velocity(head, **given | {"x_RHA": x.flatten(0, 1), "time_R": time.flatten()})
    for draw in range(K):
        alone = velocity(head, **given | {"x_RHA": x[:, draw], "time_R": time[:, draw]})
        torch.testing.assert_close(together.view(B, K, H, A)[:, draw], alone, atol=1e-5, rtol=1e-5)


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
