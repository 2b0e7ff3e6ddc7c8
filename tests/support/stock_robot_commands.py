"""LeRobot's robot commands, called in this process as their command lines would."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from lerobot.scripts import (
    lerobot_calibrate,
    lerobot_record,
    lerobot_replay,
    lerobot_rollout,
    lerobot_teleoperate,
)

COMMANDS = {
    "calibrate": lerobot_calibrate,
    "record": lerobot_record,
    "replay": lerobot_replay,
    "rollout": lerobot_rollout,
    "teleoperate": lerobot_teleoperate,
}
SIZE = ("--robot.sim_height=24", "--robot.sim_width=32")


def run(command: str, *options: str) -> Any:
    """`lerobot-<command>` with these options; what its function returns."""
    module = COMMANDS[command]
    with (
        _own_process(),
        # The host's own would replace pytest's handlers.
        mock.patch.object(module, "init_logging"),
        mock.patch.object(sys, "argv", [f"lerobot-{command}", *options]),
    ):
        return getattr(module, command)()


def record(root: Path, *options: str) -> Any:
    """A short recording of a scripted motion of the simulated GR-2; later options win."""
    given = (
        "--robot.type=fourier_gr2",
        *SIZE,
        "--teleop.type=scripted_motion",
        "--teleop.period_s=2",
        "--dataset.repo_id=local/gr2",
        f"--dataset.root={root}",
        "--dataset.no_stamp=true",
        "--dataset.single_task=wave",
        "--dataset.num_episodes=1",
        "--dataset.episode_time_s=1",
        "--dataset.reset_time_s=0",
        "--dataset.fps=10",
        "--dataset.push_to_hub=false",
        "--play_sounds=false",
        *options,
    )
    return run("record", *{option.split("=")[0]: option for option in given}.values())


@contextlib.contextmanager
def _own_process() -> Iterator[None]:
    """Signal handlers of one command must not outlive it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
