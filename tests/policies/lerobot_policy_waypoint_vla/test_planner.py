"""The planner against the literal formulas: loss over whole sequences, decoding one token at a time.

Legend: B rows, S prefix tokens, X header tokens, L plan tokens, V vocabulary.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from literal_decoding import literal_plan
from tiny_policies import observation_batch, tiny_policy, training_batch

from lerobot_plugins.nn.prefix_encoder import language_layer, positions_from_mask
from lerobot_plugins.policy.batches import prompt_tokens, select_rows
from lerobot_policy_waypoint_vla.plan_step import HEADER_TOKENS, PLAN_TARGETS, PLAN_TOKENS
from lerobot_policy_waypoint_vla.planner import plan_errors

TYPE = "waypoint_vla"


@pytest.fixture(scope="module")
def policy():
    """With sharp attention, so that what a token sees matters."""
    made = tiny_policy(TYPE)
    with torch.no_grad():
        for layer in made.model.encoder.language_model.layers:
            layer.self_attn.q_proj.weight *= 10
            layer.self_attn.k_proj.weight *= 10
    return made


@pytest.fixture(scope="module")
def batch(policy):
    return training_batch(policy.config, batch=4)


def errors_of(policy, batch, over_family: bool = False, weight: float = 3.0):
    pictures = policy.embed(policy.see(batch), policy.model.encoder)
    return plan_errors(
        policy.model,
        pictures,
        prompt_tokens(batch),
        batch[HEADER_TOKENS],
        batch[PLAN_TOKENS],
        batch[PLAN_TARGETS],
        policy.layout,
        weight,
        over_family,
    )


@torch.no_grad()
def literal_logits(policy, batch) -> torch.Tensor:
    """Logits (B, L - 1, V) of all plan tokens but the first, from whole sequences with a literal mask."""
    network, encoder = policy.model, policy.model.encoder
    pictures = policy.embed(policy.see(batch), encoder)
    x, mask = encoder.with_prompt(*pictures, *prompt_tokens(batch))
    plan = batch[PLAN_TOKENS]
    text = torch.cat(
        [
            encoder.language_model.embed_tokens(batch[HEADER_TOKENS]),
            network.embed_plan(plan, policy.layout.bottom),
        ],
        dim=1,
    )
    prefix, count = x.shape[1], text.shape[1]
    x, mask = torch.cat([x, text], dim=1), F.pad(mask, (0, count), value=True)
    # ar flags: 0 in the prefix, 1 on every later token.
    flags = torch.tensor([0] * prefix + [1] * count).cumsum(0)
    visible = ((flags[None] <= flags[:, None]) & mask[:, None])[:, None]
    cos, sin = encoder.language_model.rotary_emb(x, positions_from_mask(mask))
    for layer in encoder.language_model.layers:
        x, _, _ = language_layer(layer, x, visible, cos, sin)
    hidden = encoder.language_model.norm(x)[:, -plan.shape[1] - 1 : -1]
    return network.logits(hidden.flatten(0, 1), policy.layout.bottom).view(*plan.shape, -1)[:, 1:]


@pytest.mark.parametrize("over_family", [False, True], ids=["full", "family"])
def test_the_loss_equals_the_literal_one(policy, batch, over_family):
    logits, layout = literal_logits(policy, batch), policy.layout
    plan, target = batch[PLAN_TOKENS][:, 1:], batch[PLAN_TARGETS][:, 1:]
    grippers = torch.isin(plan, torch.tensor(layout.gripper.ids))
    if over_family:
        for family in layout.families:
            of_family = torch.isin(plan, torch.tensor(family.ids))
            others = torch.ones(logits.shape[-1], dtype=torch.bool)
            others[family.ids] = False
            logits = logits.masked_fill(of_family[..., None] & others, -torch.inf)
    expected = F.cross_entropy(logits.flatten(0, 1), plan.flatten(), reduction="none").view_as(plan)
    errors = errors_of(policy, batch, over_family)
    torch.testing.assert_close(errors.error_BL[target], expected[target], rtol=1e-4, atol=1e-4)
    assert not errors.error_BL[~target].any()
    assert torch.equal(errors.weight_BL, torch.where(grippers, 3.0, 1.0) * target)


def test_accuracies_are_those_of_the_constrained_choice(policy, batch):
    logits, layout = literal_logits(policy, batch), policy.layout
    plan, target = batch[PLAN_TOKENS][:, 1:], batch[PLAN_TARGETS][:, 1:]
    errors = errors_of(policy, batch)
    assert set(errors.right) == {"number", "gripper", "duration"}
    for family in layout.families:
        ids = torch.tensor(family.ids)
        chosen = target & torch.isin(plan, ids)
        best = ids[logits[chosen][:, ids].argmax(dim=-1)]
        assert errors.right[family.name].tolist() == (best == plan[chosen]).tolist()


def test_an_untrained_planner_knows_nothing():
    """ln 640 over the tiny vocabulary; over families the mean of ln 300, ln 34 and ln 2."""
    fresh = tiny_policy(TYPE)
    with torch.no_grad():
        fresh.model.encoder.language_model.norm.weight.fill_(-1.0)  # Gemma's norms scale by 1 + weight
    batch = training_batch(fresh.config)
    target = batch[PLAN_TARGETS][:, 1:]
    full = errors_of(fresh, batch).error_BL[target]
    torch.testing.assert_close(full, torch.full_like(full, math.log(640)), rtol=1e-4, atol=1e-4)
    plan, errors = batch[PLAN_TOKENS][:, 1:], errors_of(fresh, batch, over_family=True)
    for family, size in zip(fresh.layout.families, (300, 2, 34), strict=True):
        of_family = errors.error_BL[target & torch.isin(plan, torch.tensor(family.ids))]
        torch.testing.assert_close(
            of_family, torch.full_like(of_family, math.log(size)), rtol=1e-4, atol=1e-4
        )
    assert (6 * math.log(300) + math.log(2) + math.log(34)) / 8 == pytest.approx(4.805, abs=1e-3)


# Decoding.


@pytest.fixture(scope="module")
def observation(policy):
    """Prompts of three lengths."""
    return observation_batch(policy.config, batch=3)


@torch.no_grad()
def planned(policy, observation):
    rows = len(observation["observation.state"])
    pictures = policy.embed(policy.see(observation), policy.model.planner_encoder)
    return policy.plan(observation, pictures, [0] * rows)


@torch.no_grad()
def test_plans_equal_the_literal_loop(policy, observation):
    together = planned(policy, observation)
    lengths = observation["observation.language.attention_mask"].sum(dim=1)
    assert len(set(lengths.tolist())) > 1, "rows are padded"
    plans = set()
    for row, length in enumerate(lengths.tolist()):
        own = select_rows(observation, [row], 3)
        ids, mask = (part[:, :length] for part in prompt_tokens(own))
        expected = literal_plan(
            policy.model,
            policy.embed(policy.see(own), policy.model.encoder),
            (ids, mask),
            own[HEADER_TOKENS][0].tolist(),
            policy.grammar,
        )
        # The literal loop writes every slot; ours may stop when all rows have ended.
        assert together.ids_BL[row].tolist() == expected[: together.ids_BL.shape[1]]
        plans.add(tuple(expected))
    assert len(plans) > 1, "the pictures, prompts and states make a difference"


@torch.no_grad()
def test_a_batch_plans_as_its_rows_do(policy, observation):
    together = planned(policy, observation)
    for row in range(3):
        alone = planned(policy, select_rows(observation, [row], 3))
        shared = alone.ids_BL.shape[1]
        assert torch.equal(together.ids_BL[row, :shared], alone.ids_BL[0])
        assert torch.equal(together.duration_BM[row], alone.duration_BM[0])


@torch.no_grad()
def test_a_planner_of_its_own_plans():
    """And the expert's PaliGemma has no say."""
    made = tiny_policy(TYPE, separate_planner=True)
    observation = observation_batch(made.config)
    before = planned(made, observation)
    for parameter in made.model.encoder.parameters():
        parameter.zero_()
    assert torch.equal(planned(made, observation).ids_BL, before.ids_BL)
    for parameter in made.model.planner.parameters():
        parameter.mul_(1.5)
    assert not torch.equal(planned(made, observation).ids_BL, before.ids_BL)
