"""Acting: shapes, batches of environments, reset, real-time chunking."""

import random

import numpy as np
import pytest
import torch
from lerobot.policies.rtc.configuration_rtc import RTCConfig
from lerobot.rollout.inference.rtc import supports_rtc_inference
from tiny_policies import ACTION_WIDTH, observation_batch

from lerobot_plugins.errors import ZooError


@pytest.mark.parametrize("rows", [1, 3])
def test_shapes(shared, rows):
    observation = observation_batch(shared.config, batch=rows)
    shared.reset()
    chunk = shared.predict_action_chunk(observation)
    assert (chunk.shape, chunk.dtype) == ((rows, shared.config.chunk_size, ACTION_WIDTH), torch.float32)
    action = shared.select_action(observation)
    assert (action.shape, action.dtype) == ((rows, ACTION_WIDTH), torch.float32)


def test_actions_are_the_chunks_first_steps(shared, observation):
    """Until the first row needs another chunk: at `n_action_steps` where chunks have one length."""
    shared.reset()
    chunk = shared.predict_action_chunk(observation)
    shared.reset()
    taken = [shared.select_action(observation)]
    while not shared.queues.dry_rows(len(chunk)):
        taken.append(shared.select_action(observation))
    assert torch.equal(torch.stack(taken, dim=1), chunk[:, : len(taken)])
    if shared.supports_rtc():
        assert len(taken) == shared.config.n_action_steps
    else:
        assert len(taken) <= shared.config.n_action_steps


def test_the_recorded_action_is_never_read(shared, batch):
    """An evaluation batch of a dataset holds the answer."""
    observation = {key: value for key, value in batch.items() if not key.startswith("action")}
    shared.reset()
    with_answer = shared.predict_action_chunk(batch)
    shared.reset()
    assert torch.equal(with_answer, shared.predict_action_chunk(observation))


def test_reset_starts_the_episode_anew(shared, observation):
    runs = []
    for _ in range(2):
        shared.reset()
        runs.append([shared.select_action(observation) for _ in range(shared.config.n_action_steps + 1)])
    assert all(map(torch.equal, *runs))


def test_another_number_of_environments_needs_a_reset(shared, observation):
    shared.reset()
    shared.select_action(observation)
    with pytest.raises(ZooError, match="reset"):
        shared.select_action(observation_batch(shared.config, batch=2))
    shared.reset()
    assert shared.select_action(observation_batch(shared.config, batch=2)).shape[0] == 2


def test_acting_leaves_the_global_generators_alone(shared, observation):
    shared.reset()
    states = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()
    shared.predict_action_chunk(observation)
    assert (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()) == states


def test_acting_sets_evaluation_mode(policy, observation):
    policy.train().select_action(observation)
    assert not policy.training


def test_inference_mode_and_the_hosts_extra_keys_are_fine(shared, observation):
    """What lerobot-eval hands over beside the observation."""
    shared.reset()
    with torch.inference_mode():
        extra = {"action": None, "next.reward": 0.0, "next.done": False, "info": {}}
        assert shared.select_action(observation | extra).shape == (3, ACTION_WIDTH)


# Real-time chunking. A policy whose chunks have no one length says that it does not support it.

WITHOUT_RTC = {"waypoint_vla"}


def test_the_host_recognises_real_time_chunking(shared, policy_type):
    assert supports_rtc_inference(shared) == (policy_type not in WITHOUT_RTC)


@pytest.mark.parametrize("left", [5, 12], ids=["a short left-over", "one longer than the chunk"])
def test_guided_sampling_follows_the_previous_chunk(policy, policy_type, left):
    """As lerobot-rollout does it: config set, processor made, chunks asked for one robot."""
    if policy_type in WITHOUT_RTC:
        pytest.skip("its chunks have no one length")
    observation = observation_batch(policy.config, batch=1)
    plain = policy.predict_action_chunk(observation)
    target = torch.full((left, ACTION_WIDTH), 0.4)
    policy.config.rtc_config = RTCConfig(enabled=True, execution_horizon=4)
    policy.init_rtc_processor()

    policy.reset()
    assert torch.equal(policy.predict_action_chunk(observation), plain), "the first chunk is not guided"
    policy.reset()
    guided = policy.predict_action_chunk(observation, inference_delay=2, prev_chunk_left_over=target)
    assert guided.shape == plain.shape

    def gap(chunk: torch.Tensor) -> float:
        return (chunk[:, :2] - 0.4).abs().mean().item()

    assert gap(guided) < 0.5 * gap(plain)
