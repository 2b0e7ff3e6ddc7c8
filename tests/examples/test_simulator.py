"""The recorded actions solve the task again in the real simulator, where that is installed."""

import subprocess

import pytest


@pytest.mark.slow
def test_a_held_out_episode_is_solved_again(checkout):
    python = checkout / ".venv-libero" / "bin" / "python"
    if not python.exists():
        pytest.skip("no simulator here: python scripts/libero_setup.py")
    script = checkout / "examples" / "sample_data" / "replay_demonstrations.py"
    done = subprocess.run([python, script, "--episodes", "8"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "episode 8 (libero_object_task3_init04.npz): solved by its last action" in done.stdout
