"""An evaluation as OmniGibson runs it: connect at the first reset, one action at a time, reset in between."""

import asyncio

import pytest
import torch
from omnigibson_client import OmniGibsonClient, simulated
from served_policies import r1_pro_session

from lerobot_plugins.serving.server import PolicyServer

STEPS = 10  # more than a chunk of eight


@pytest.fixture(scope="module")
def template():
    return r1_pro_session(prompt="turn on the radio")


def talk(template, function, *arguments):
    """Run a client in a thread beside the server."""

    async def both():
        server = PolicyServer(template, "omnigibson")
        async with await server.start("127.0.0.1", 0) as listening:
            address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            return await asyncio.to_thread(function, address, *arguments)

    return asyncio.run(both())


def evaluation(address, tensors):
    """Two episodes of the same observations on one connection; the evaluator resets twice before each."""
    client = OmniGibsonClient(address)
    episodes = []
    for _ in range(2):
        client.reset()
        client.reset()
        episodes.append([client.act(simulated(step, tensors=tensors)) for step in range(STEPS)])
    client.close()
    return client.metadata, episodes


@pytest.mark.parametrize("tensors", [False, True])
def test_an_evaluation_gets_the_actions_of_the_policy(template, tensors):
    metadata, (first, second) = talk(template, evaluation, tensors)
    assert metadata["action_shape"] == [1, 23]
    assert metadata["prompt"] == "turn on the radio"
    session = template.spawn()
    expected = [torch.from_numpy(session.action(simulated(step)))[None] for step in range(STEPS)]
    assert all(action.shape == (1, 23) and action.dtype == torch.float32 for action in first)
    assert torch.equal(torch.cat(first), torch.cat(expected))
    assert torch.equal(torch.cat(first), torch.cat(second))


def test_evaluators_beside_each_other_do_not_mix(template):
    def two(address):
        one, other = OmniGibsonClient(address), OmniGibsonClient(address)
        for client in (one, other):
            client.reset()
        found = [(one.act(simulated(step)), other.act(simulated(100 + step))) for step in range(3)]
        other.reset()
        found.append((one.act(simulated(3)), other.act(simulated(100))))
        one.close()
        other.close()
        return found

    found = talk(template, two)
    session = template.spawn()
    for step, (mine, _) in enumerate(found):
        assert torch.equal(mine[0], torch.from_numpy(session.action(simulated(step))))
    assert torch.equal(found[0][1], found[3][1])


def test_a_wrong_observation_is_an_error_of_the_client(template):
    def wrong(address):
        client = OmniGibsonClient(address)
        observation = simulated(0)
        del observation["robot_r1::proprio"]
        try:
            with pytest.raises(RuntimeError, match=r"no observation\.state[^$]*robot_r1::proprio"):
                client.act(observation)
            return client.act(simulated(0))
        finally:
            client.close()

    assert talk(template, wrong).shape == (1, 23)
