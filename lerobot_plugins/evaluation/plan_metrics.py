"""How far plans are from the waypoints that their frames should lead to.

A plan made at frame t is compared slot by slot with the waypoints after t, as training does: slot 0 with the
next waypoint and its distance from t. Slots behind the end of either are not compared. `on_time` looks at
something else: where the demonstrator was at the time that the plan names.

Shapes: P plans, M slots, N compared slots, S state dimensions, D planned continuous ones, G grippers.
"""

from typing import Any

import numpy as np

from lerobot_plugins.evaluation import scores
from lerobot_plugins.evaluation.episodes import Episode, Run
from lerobot_plugins.evaluation.plans import EpisodePlans
from lerobot_plugins.waypoints.table import EpisodeWaypoints
from lerobot_plugins.waypoints.targets import FrameTargets, PlanTargets

Metrics = dict[str, Any]
# What compared slots have, concatenated over episodes: slot, planned and true duration, states, grippers.
Rows = dict[str, np.ndarray]


def plan_metrics(run: Run, episodes: list[Episode]) -> Metrics | None:
    """The block `plan` of `metrics.json`; None where no policy planned."""
    planned = [episode.plans for episode in episodes if episode.plans is not None]
    if not planned:
        return None
    targets = [_targets(plans) for plans in planned]
    rows = _joined([_compared(plans, true) for plans, true in zip(planned, targets, strict=True)])
    on_time = _joined([_on_time(plans) for plans in planned])
    dims = planned[0].continuous_dims
    return {
        "plans": sum(len(plans.frame_P) for plans in planned),
        "slots": planned[0].duration_PM.shape[1],
        **_scores(rows),
        "per_dim": [
            {"name": _name(run, dim), **_state_errors(rows, [column])} for column, dim in enumerate(dims)
        ],
        "per_slot": [
            {"slot": slot, **_scores({key: values[rows["slot"] == slot] for key, values in rows.items()})}
            for slot in range(planned[0].duration_PM.shape[1])
        ],
        "end": _ends(planned, targets),
        "on_time": {"rows": len(on_time["slot"]), **_state_errors(on_time)},
    }


def _name(run: Run, dim: int) -> str:
    return run.state_names[dim] if run.state_names else f"state_{dim}"


def _targets(plans: EpisodePlans) -> PlanTargets:
    recorded_TS = plans.recorded_TS
    episode = EpisodeWaypoints(0, len(recorded_TS), plans.waypoint_W)
    return FrameTargets([episode], recorded_TS).plan(plans.frame_P, plans.duration_PM.shape[1])


def _compared(plans: EpisodePlans, true: PlanTargets) -> Rows:
    both_PM = plans.planned & true.real_BM
    frame_PM = plans.frame_P[:, None] + np.cumsum(true.duration_BM, axis=1)
    return _rows(plans, both_PM, frame_PM) | {
        "duration": plans.duration_PM[both_PM],
        "true_duration": true.duration_BM[both_PM],
    }


def _on_time(plans: EpisodePlans) -> Rows:
    return _rows(plans, plans.planned & (plans.times < len(plans.recorded_TS)), plans.times)


def _rows(plans: EpisodePlans, keep_PM: np.ndarray, frame_PM: np.ndarray) -> Rows:
    """Planned states of some slots, and the recorded ones at the frames that they are compared with."""
    frame_N = frame_PM[keep_PM]
    numbers, grippers = plans.continuous_dims, plans.gripper_dims
    return {
        "slot": np.broadcast_to(np.arange(keep_PM.shape[1]), keep_PM.shape)[keep_PM],
        "raw_error": (plans.state_PMS[keep_PM] - plans.recorded_TS[frame_N])[:, numbers],
        "scaled_error": (plans.scaled_PMS[keep_PM] - plans.recorded_scaled_TS[frame_N])[:, numbers],
        "gripper": plans.scaled_PMS[keep_PM][:, grippers],
        "true_gripper": plans.recorded_scaled_TS[frame_N][:, grippers],
    }


def _joined(parts: list[Rows]) -> Rows:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _scores(rows: Rows) -> Metrics:
    late_N = abs(rows["duration"] - rows["true_duration"]).astype(float)
    agreement = None
    if rows["gripper"].shape[1]:
        agreement = scores.side_agreement(rows["gripper"].ravel(), rows["true_gripper"].ravel(), 0.5)
    return {
        "rows": len(late_N),
        "duration": {
            "mae": scores.mean(late_N),
            "exact": scores.share(late_N, 0),
            "within_one": scores.share(late_N, 1),
        },
        **_state_errors(rows),
        "gripper_agreement": agreement,
    }


def _state_errors(rows: Rows, columns: list[int] | None = None) -> Metrics:
    keep = slice(None) if columns is None else columns
    return {
        "raw": scores.error_numbers(rows["raw_error"][:, keep].astype(float)),
        "normalized": scores.error_numbers(rows["scaled_error"][:, keep].astype(float)),
    }


def _ends(planned: list[EpisodePlans], targets: list[PlanTargets]) -> Metrics:
    """How often plans say that the episode ends, where it does and where it does not."""
    said_P = np.concatenate([(plans.duration_PM == 0).any(axis=1) for plans in planned])
    true_P = np.concatenate([target.terminal_BM.any(axis=1) for target in targets])
    return {
        "true": int(true_P.sum()),
        "planned": int(said_P.sum()),
        "recall": scores.mean(said_P[true_P]),
        "precision": scores.mean(true_P[said_P]),
    }
