"""Stock `lerobot-eval`, called in this process."""

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from lerobot.scripts import lerobot_eval
from replay_episodes import skip_figures

from lerobot_env_dataset_replay import recorder


def lerobot_eval_here(policy: Path | str, root: Path, folder: Path, *options: str) -> dict[str, Any]:
    """Replay recorded episodes, the first alone by default; returns the report's metrics."""
    arguments = [
        f"--policy.path={policy}",
        "--policy.device=cpu",
        "--env.type=dataset_replay",
        "--env.repo_id=local/toy",
        f"--env.root={root}",
        "--env.episodes=[0]",
        f"--env.report_dir={folder / 'report'}",
        f"--output_dir={folder / 'out'}",
        "--eval.n_episodes=1",
        "--eval.batch_size=1",
        *options,
    ]
    last = {option.split("=")[0]: option for option in arguments}
    with (
        pytest.MonkeyPatch.context() as patch,
        mock.patch.object(sys, "argv", ["lerobot-eval", *last.values()]),
    ):
        patch.setattr(recorder, "_used", set())
        skip_figures(patch)
        lerobot_eval.eval_main()
    return json.loads((folder / "report/metrics.json").read_text())
