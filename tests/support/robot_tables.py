"""The published tables of robots' names, orders and limits, where this machine has them."""

import json
from pathlib import Path

import pytest

_FILE = Path(__file__).parents[3] / "shared/spec/robots_tables.json"


def robot_tables() -> dict:
    """The tables; skips the test where they are not."""
    if not _FILE.exists():
        pytest.skip("needs the shared tables of robots")
    return json.loads(_FILE.read_text())


def vector(width: int, names: list[str] | dict | None = None) -> dict:
    """A numeric feature as `meta/info.json` has it."""
    return {"dtype": "float32", "shape": [width], "names": names}


def state_and_action(state: dict, action: dict) -> dict[str, dict]:
    """A dataset's features, with a picture and LeRobot's own columns beside the vectors."""
    return {
        "observation.images.front": {
            "dtype": "video",
            "shape": [48, 64, 3],
            "names": ["height", "width", "channels"],
        },
        "observation.state": state,
        "action": action,
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        "index": {"dtype": "int64", "shape": [1], "names": None},
    }
