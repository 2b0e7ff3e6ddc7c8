"""`state_clip`: what a state far outside of its statistics does to a policy."""

import pytest
import torch
from tiny_paligemma import MICRO_HEAD, micro_geometry
from tiny_policies import observation_batch, processors, raw_batch, tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError

TYPE = "paligemma_flow"
STATE = "observation.state"


def small_policy(**changes):
    return tiny_policy(TYPE, vlm_config=micro_geometry(), clip_value=None, **MICRO_HEAD | changes)


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 2])
def test_a_state_beyond_the_limit_counts_as_one_at_it_and_is_said_once(steps, caplog):
    policy = small_policy(n_obs_steps=steps, history_mode="last")
    batch, noise = observation_batch(policy.config), torch.zeros(3, 8, 7)
    chunks = {}
    for value in (4.0, 5.0, 1e6, -1e6, -5.0):
        policy.reset()
        given = batch | {STATE: batch[STATE].clone()}
        given[STATE][1, 2] = value
        chunks[value] = policy.predict_action_chunk(given, noise=noise)
    assert torch.equal(chunks[1e6], chunks[5.0])
    assert torch.equal(chunks[-1e6], chunks[-5.0])
    assert not torch.equal(chunks[4.0], chunks[5.0])
    assert caplog.text.count("in dimensions [2] and is clipped to 5 in") == 1


@torch.no_grad()
@pytest.mark.parametrize("changes", [{"state_clip": None}, {"state_normalization": "identity"}])
def test_without_limit_or_without_normalisation_nothing_is_clipped(changes, caplog):
    policy = small_policy(**changes)
    batch, noise = observation_batch(policy.config), torch.zeros(3, 8, 7)
    far = [policy.predict_action_chunk(batch | {STATE: batch[STATE] + by}, noise=noise) for by in (50, 60)]
    assert not torch.equal(*far)
    assert "clipped" not in caplog.text


@torch.no_grad()
def test_the_loss_sees_what_acting_sees():
    policy = small_policy()
    batch = training_batch(policy.config)
    far = [policy(batch | {STATE: batch[STATE] + by})[0] for by in (50, 60)]
    assert torch.equal(*far)


@torch.no_grad()
def test_raw_units_that_are_not_the_statistics_are_found_through_the_preprocessor(caplog):
    """Degrees where the statistics are of radians."""
    policy = small_policy()
    raw = raw_batch(policy.config)
    batch = processors(policy.config)[0](raw | {STATE: torch.full((3, 8), 57.3)})
    assert (batch[STATE] > 5).all()
    assert policy.predict_action_chunk(batch).isfinite().all()
    assert "in dimensions [0, 1, 2, 3, 4, 5, 6, 7]" in caplog.text


@pytest.mark.parametrize("value", [0.0, 0.5, -5.0])
def test_a_limit_within_the_statistics_is_refused(value):
    with pytest.raises(ZooError, match="state_clip"):
        tiny_config(TYPE, state_clip=value)
