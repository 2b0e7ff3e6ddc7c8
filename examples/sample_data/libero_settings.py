"""What LIBERO reads from the environment, set before it is imported."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def set_up() -> None:
    """Render through EGL and use the project's LIBERO configuration, unless the environment says otherwise.

    Without a configuration LIBERO asks a question on the terminal when it is imported.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    config = os.environ.setdefault("LIBERO_CONFIG_PATH", str(ROOT / ".cache" / "libero"))
    if not Path(config, "config.yaml").is_file():
        raise SystemExit(
            f"error: {config}/config.yaml is missing\n  do:       python scripts/libero_setup.py"
        )
