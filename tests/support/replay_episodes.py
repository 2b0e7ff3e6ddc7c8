"""Hand-made evaluated episodes: four dimensions, the last one constant, `gripper` third."""

from typing import Any

import numpy as np

from lerobot_plugins.evaluation.episodes import Episode, Run

NAMES = ["x", "y", "gripper", "fixed"]


def make_run(episodes: list[int], **changes: Any) -> Run:
    """A manifest with ranges [-1, 1], [-2, 2], [-1, 1] and a constant 0.5."""
    values: dict[str, Any] = {
        "repo_id": "local/made",
        "fps": 10,
        "episodes": episodes,
        "action_names": NAMES,
        "action_min": [-1.0, -2.0, -1.0, 0.5],
        "action_max": [1.0, 2.0, 1.0, 0.5],
        "action_mean": [0.0, 0.0, 0.0, 0.0],
        "statistics_sha256": "0" * 64,
        "hold_reason": None,
        "tolerance": 0.1,
        "command": "lerobot-eval --env.type=dataset_replay",
        "versions": {"lerobot": "0.6.1"},
        "started": "2026-01-01T00:00:00",
    }
    return Run(**(values | changes))


def make_episode(index: int, length: int, *, offset: Any = 0.0, horizon: int = 3, replan: int = 2) -> Episode:
    """Recorded values are linear in time; predictions are off by `offset`, chunks hold the last one."""
    t_T = np.arange(length)
    recorded_TA = np.stack(
        [0.1 * t_T, -0.2 * t_T + 0.1 * index, np.where(t_T < length // 2, -1.0, 1.0), np.full(length, 0.5)],
        axis=1,
    ).astype(np.float32)
    predicted_TA = (recorded_TA + np.asarray(offset, np.float32)).astype(np.float32)
    start_C = np.arange(0, length if horizon else 0, replan)
    steps_CH = np.minimum(start_C[:, None] + np.arange(horizon), length - 1)
    return Episode(
        index=index,
        task_T=[f"task {index % 2}"] * length,
        timestamp_T=t_T / 10,
        recorded_TA=recorded_TA,
        predicted_TA=predicted_TA,
        hold_TA=recorded_TA - np.float32(0.05),
        chunk_start_C=start_C,
        chunk_CHA=predicted_TA[steps_CH] if horizon else np.zeros((0, 0, 4), np.float32),
    )


def skip_figures(monkeypatch: Any) -> None:
    """Let reports hold metrics and predictions only: figures take a second and have tests of their own."""
    monkeypatch.setattr("lerobot_plugins.evaluation.report.report_page", lambda *_: "")
    monkeypatch.setattr("lerobot_plugins.evaluation.figures.overview", lambda *_: None)
    monkeypatch.setattr("lerobot_plugins.evaluation.figures.to_png", lambda _: b"")
