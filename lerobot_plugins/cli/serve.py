"""`lerobot-plugins serve`: a policy behind a websocket, for openpi's and OmniGibson's clients."""

import argparse
import asyncio
import importlib.util
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from lerobot_plugins.errors import ZooError

if TYPE_CHECKING:
    from lerobot_plugins.serving.server import PolicyServer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(takes_host_options=True)
    parser.add_argument(
        "--policy.path", dest="policy_path", required=True, metavar="PATH", help="checkpoint folder or hub id"
    )
    # Without authentication, other machines are let in only on request.
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--protocol", choices=("openpi", "omnigibson"), default="openpi")
    parser.add_argument(
        "--map", nargs="+", default=[], metavar="KEY=FEATURE", help="what clients call an input of the policy"
    )
    parser.add_argument(
        "--preset",
        choices=("behavior1k",),
        help="keys as a published evaluation sends them: behavior1k is OmniGibson's with R1 Pro",
    )
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--prompt", help="the task where a client sends none")
    task.add_argument(
        "--tasks",
        type=Path,
        metavar="FILE.jsonl",
        help="meta/tasks.jsonl of the demonstrations: the task of a client that sends task_id",
    )
    parser.add_argument("--max-sessions", type=int, default=8, help="clients at a time (default: 8)")
    parser.add_argument("--max-mib", type=float, default=32, help="largest message (default: 32)")
    parser.add_argument("--idle-timeout", type=float, default=600, help="seconds (default: 600)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    missing = [name for name in ("websockets", "msgpack") if importlib.util.find_spec(name) is None]
    if missing:
        raise ZooError(
            "the server's packages are missing",
            got=f"no {' and no '.join(missing)}",
            do="pip install 'lerobot_policy_zoo[serve]'",
        )
    if foreign := [option for option in arguments.host_options if not option.startswith("--policy.")]:
        raise ZooError("unknown options", got=foreign, expected="--policy.FIELD=VALUE")
    from lerobot_plugins import registry
    from lerobot_plugins.serving.presets import observation_map, read_tasks
    from lerobot_plugins.serving.server import PolicyServer
    from lerobot_plugins.serving.session import load_session

    given = dict(_pair(text) for text in arguments.map)
    tasks = read_tasks(arguments.tasks) if arguments.tasks is not None else None
    registry.load_kind("policy")
    overrides = [f"--{option.removeprefix('--policy.')}" for option in arguments.host_options]
    template = load_session(
        arguments.policy_path,
        overrides,
        lambda config: observation_map(config, given, arguments.prompt, tasks, arguments.preset),
    )
    server = PolicyServer(
        template,
        arguments.protocol,
        arguments.max_sessions,
        int(arguments.max_mib * 2**20),
        arguments.idle_timeout,
    )
    asyncio.run(_until_stopped(server, arguments.host, arguments.port))
    print(f"stopped after {server.answered} answers", flush=True)
    return 0


async def _until_stopped(server: "PolicyServer", host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with await server.start(host, port) as listening:
        address = listening.sockets[0].getsockname()
        print(f"serving {server.protocol} on ws://{address[0]}:{address[1]} (Ctrl-C ends)", flush=True)
        await stop.wait()


def _pair(text: str) -> tuple[str, str]:
    # Keys of the simulator hold colons, none holds an equals sign.
    key, equals, feature = text.partition("=")
    if not (key and equals and feature):
        raise ZooError("--map is not understood", got=text, expected="KEY=FEATURE")
    return key, feature
