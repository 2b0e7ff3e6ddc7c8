import asyncio
import contextlib
import random
import urllib.request

import msgpack
import numpy as np
import pytest
from served_policies import observation, tiny_session
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lerobot_plugins.serving.packing import pack, unpack
from lerobot_plugins.serving.server import PolicyServer

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def template():
    return tiny_session()


@contextlib.asynccontextmanager
async def serving(template, port=0, **options):
    server = PolicyServer(template, max_bytes=LIMIT, **options)
    async with await server.start("127.0.0.1", port) as listening:
        yield server, f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def ask(connection, message):
    await connection.send(pack(message))
    answer = await connection.recv()
    return answer if isinstance(answer, str) else unpack(answer, LIMIT)


def test_metadata_health_and_the_same_chunk_as_in_process(template):
    async def talk():
        async with serving(template) as (_, address), connect(f"ws://{address}") as connection:
            metadata = unpack(await connection.recv(), LIMIT)
            body = await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://{address}/healthz").read())
            answer = await ask(connection, observation(template))
            again = await ask(connection, observation(template))
        return metadata, body, answer, again

    metadata, body, answer, again = asyncio.run(talk())
    assert metadata["policy_type"] == "pi05_comet"
    assert body == b"OK\n"
    np.testing.assert_array_equal(answer["actions"], template.spawn().chunk(observation(template)))
    assert answer["server_timing"]["infer_ms"] > 0
    assert again["server_timing"]["prev_total_ms"] > 0


@pytest.mark.parametrize("protocol", ["openpi", "omnigibson"])
def test_the_subtask_comes_with_the_actions_that_follow_it(protocol):
    writing = tiny_session(subtask_prediction=True, subtask_max_len=9)

    async def talk():
        async with (
            serving(writing, protocol=protocol) as (_, address),
            connect(f"ws://{address}") as connection,
        ):
            await connection.recv()
            return [await ask(connection, observation(writing, seed)) for seed in (1, 1, 2)]

    first, again, _ = asyncio.run(talk())
    assert isinstance(first["subtask"], str)
    if protocol == "omnigibson":
        assert first["subtask"] == again["subtask"], "the queue's actions follow one subtask"
    expected = writing.spawn()
    expected.chunk(observation(writing, 1))
    assert first["subtask"] == expected.subtask
    expected.reset()
    assert expected.subtask is None


def test_sessions_do_not_mix_and_reset_starts_an_episode(template):
    first, second = observation(template, 1), observation(template, 2)

    def alone(message):
        session = template.spawn()
        return [session.action(message) for _ in range(4)]

    async def talk():
        found = ([], [], [])
        async with (
            serving(template, protocol="omnigibson") as (_, address),
            connect(f"ws://{address}") as a,
            connect(f"ws://{address}") as b,
        ):
            await a.recv()
            await b.recv()
            for _ in range(4):
                answers = await asyncio.gather(ask(a, first), ask(b, second))
                found[0].append(answers[0]["action"][0])
                found[1].append(answers[1]["action"][0])
            await a.send(pack({"reset": True}))
            for _ in range(4):
                found[2].append((await ask(a, first))["action"][0])
        return found

    found = asyncio.run(talk())
    np.testing.assert_array_equal(found[0], alone(first))
    np.testing.assert_array_equal(found[1], alone(second))
    np.testing.assert_array_equal(found[2], found[0])
    assert not np.array_equal(found[0], found[1])


def test_sessions_share_the_weights(template):
    parameters = zip(template.policy.parameters(), template.spawn().policy.parameters(), strict=True)
    assert all(mine is theirs for mine, theirs in parameters)


def test_a_wrong_message_is_answered_by_text_and_the_session_goes_on(template):
    async def talk():
        async with serving(template) as (_, address), connect(f"ws://{address}") as connection:
            await connection.recv()
            await connection.send("hello")
            said = [await connection.recv(), await ask(connection, {}), await ask(connection, {"reset": 1})]
            return said, await ask(connection, observation(template))

    said, answer = asyncio.run(talk())
    assert "message is text" in said[0]
    assert "expected: one of" in said[1]
    assert "reset comes alone" in said[2]
    assert answer["actions"].shape == (8, 7)


def test_a_policy_that_fails_ends_its_session_only(template):
    async def talk():
        async with serving(template) as (server, address), connect(f"ws://{address}") as connection:
            await connection.recv()
            server.template, kept = None, server.template
            async with connect(f"ws://{address}") as broken:
                said = await broken.recv()
                with pytest.raises(ConnectionClosed):
                    await broken.recv()
            server.template = kept
            return said, await ask(connection, observation(template))

    said, answer = asyncio.run(talk())
    assert "AttributeError" in said
    assert "actions" in answer


def test_too_many_clients_and_idle_ones_are_turned_away(template):
    async def talk():
        async with serving(template, max_sessions=1, idle_timeout=0.3) as (server, address):
            async with connect(f"ws://{address}") as connection:
                await connection.recv()
                with pytest.raises(InvalidStatus, match="503"):
                    await connect(f"ws://{address}")
                with pytest.raises(ConnectionClosed, match="no message"):
                    await connection.recv()
            async with asyncio.timeout(10):
                while server.sessions:
                    await asyncio.sleep(0.01)

    asyncio.run(talk())


def test_a_server_that_comes_back_on_its_port_serves_again(template):
    async def talk():
        async with serving(template) as (_, address):
            connection = await connect(f"ws://{address}")
            await connection.recv()
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        port = int(address.split(":")[1])
        async with serving(template, port=port) as (_, address), connect(f"ws://{address}") as connection:
            await connection.recv()
            return await ask(connection, observation(template))

    assert "actions" in asyncio.run(talk())


def test_a_thousand_damaged_and_oversize_frames_are_survived(template):
    rng = random.Random(0)
    good = pack(observation(template))
    head = pack({key: value for key, value in observation(template).items() if "image" not in key})

    def frame(number):
        kind = number % 4
        if kind == 0:
            return rng.randbytes(rng.randrange(200))
        if kind == 1:
            return good[: rng.randrange(len(good) - 1)]
        if kind == 2:
            damaged = bytearray(head)
            for _ in range(3):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            return bytes(damaged)
        return msgpack.packb({"observation/state": [{"__x__": number}], "reset": number})

    async def talk():
        refused = closed = 0
        async with serving(template, max_sessions=2) as (_, address):
            connection = await connect(f"ws://{address}", max_size=None)
            await connection.recv()
            for number in range(1000):
                if number % 100 == 99:
                    await connection.send(bytes(LIMIT + 1))
                    with contextlib.suppress(ConnectionClosed):
                        await connection.recv()
                    await connection.wait_closed()
                    closed += 1
                    connection = await connect(f"ws://{address}", max_size=None)
                    await connection.recv()
                    continue
                await connection.send(frame(number))
                refused += isinstance(await connection.recv(), str)
            answer = await ask(connection, observation(template))
            await connection.close()
        return refused, closed, answer

    refused, closed, answer = asyncio.run(talk())
    assert (refused, closed) == (990, 10)
    np.testing.assert_array_equal(answer["actions"], template.spawn().chunk(observation(template)))
