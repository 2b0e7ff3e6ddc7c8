"""LIBERO's simulator, in the environment that `make libero-env` makes."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def simulator(name: str, *arguments: object) -> str:
    """Call a command of that environment with the simulator's settings; returns what it printed."""
    folder = ROOT / ".venv-libero" / "bin"
    if not folder.exists():
        pytest.skip("no simulator here: python scripts/libero_setup.py")
    settings = {"MUJOCO_GL": "egl", "LIBERO_CONFIG_PATH": str(ROOT / ".cache" / "libero")}
    done = subprocess.run(
        [folder / name, *map(str, arguments)], env=settings | os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
