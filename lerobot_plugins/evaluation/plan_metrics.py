"""How far plans are from the waypoints that their frames should lead to.

A plan made at frame t is compared slot by slot with the waypoints after t, as training does: slot 0 with the
next waypoint and its distance from t. Slots behind the end of either are not compared. Beside that:

- `hold`: what a planner would score that puts every waypoint where the robot is when it plans;
- `on_time`: planned states beside where the demonstrator was at the time that the plan names.

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
# Columns of compared slots, (N, ...): slot, durations, and the states that are planned, true and held.
Table = dict[str, np.ndarray]


def plan_metrics(run: Run, episodes: list[Episode]) -> Metrics | None:
    """The block `plan` of `metrics.json`; None where no policy planned."""
    planned = [episode.plans for episode in episodes if episode.plans is not None]
    if not planned:
        return None
    first, slots = planned[0], planned[0].duration_PM.shape[1]
    targets = [_targets(plans) for plans in planned]
    table = _joined([_compared(plans, true) for plans, true in zip(planned, targets, strict=True)])
    on_time = _joined([_on_time(plans) for plans in planned])
    return {
        "plans": sum(len(plans.frame_P) for plans in planned),
        "slots": slots,
        **_scores(table),
        "per_dim": [
            {"name": run.state_name(dim), **_state_errors(table, columns=[column])}
            for column, dim in enumerate(first.continuous_dims)
        ],
        "per_gripper": [
            {"name": run.state_name(dim), "agreement": _agreement(table, columns=[column])}
            for column, dim in enumerate(first.gripper_dims)
        ],
        "per_slot": [
            {"slot": slot, **_scores({key: values[table["slot"] == slot] for key, values in table.items()})}
            for slot in range(slots)
        ],
        "end": _ends(planned, targets),
        "on_time": {"rows": len(on_time["slot"]), **_states(on_time)},
        "hold": _states(table, "hold"),
        "non_finite": _non_finite(planned),
    }


def _targets(plans: EpisodePlans) -> PlanTargets:
    recorded_TS = plans.recorded_TS
    episode = EpisodeWaypoints(0, len(recorded_TS), plans.waypoint_W)
    return FrameTargets([episode], recorded_TS).plan(plans.frame_P, plans.duration_PM.shape[1])


def _compared(plans: EpisodePlans, true: PlanTargets) -> Table:
    both_PM = plans.planned & true.real_BM
    frame_PM = plans.frame_P[:, None] + np.cumsum(true.duration_BM, axis=1)
    return _table(plans, both_PM, frame_PM) | {
        "duration": plans.duration_PM[both_PM],
        "true_duration": true.duration_BM[both_PM],
    }


def _on_time(plans: EpisodePlans) -> Table:
    return _table(plans, plans.planned & (plans.times < len(plans.recorded_TS)), plans.times)


def _table(plans: EpisodePlans, keep_PM: np.ndarray, frame_PM: np.ndarray) -> Table:
    """Some slots: what is planned, what was recorded at their frames, and at the frames of their plans."""
    slot_N = np.nonzero(keep_PM)[1]
    true_N, now_N = frame_PM[keep_PM], plans.frame_P[np.nonzero(keep_PM)[0]]
    states = {
        "planned": (plans.state_PMS[keep_PM], plans.scaled_PMS[keep_PM]),
        "true": (plans.recorded_TS[true_N], plans.recorded_scaled_TS[true_N]),
        "hold": (plans.recorded_TS[now_N], plans.recorded_scaled_TS[now_N]),
    }
    table = {"slot": slot_N}
    for name, (raw_NS, scaled_NS) in states.items():
        table[f"{name}_raw"] = raw_NS[:, plans.continuous_dims].astype(np.float64)
        table[f"{name}_normalized"] = scaled_NS[:, plans.continuous_dims].astype(np.float64)
        table[f"{name}_gripper"] = scaled_NS[:, plans.gripper_dims]
    return table


def _joined(parts: list[Table]) -> Table:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _scores(table: Table) -> Metrics:
    late_N = abs(table["duration"] - table["true_duration"]).astype(float)
    duration = {
        "mae": scores.mean(late_N),
        "exact": scores.share(late_N, 0),
        "within_one": scores.share(late_N, 1),
    }
    return {"rows": len(late_N), "duration": duration, **_states(table)}


def _states(table: Table, who: str = "planned") -> Metrics:
    return {**_state_errors(table, who), "gripper_agreement": _agreement(table, who)}


def _state_errors(table: Table, who: str = "planned", columns: list[int] | slice = slice(None)) -> Metrics:
    return {
        units: scores.error_numbers((table[f"{who}_{units}"] - table[f"true_{units}"])[:, columns])
        for units in ("raw", "normalized")
    }


def _agreement(table: Table, who: str = "planned", columns: list[int] | slice = slice(None)) -> float | None:
    """Share of grippers that are open or closed as they should be; None where there are none."""
    planned_NG, true_NG = table[f"{who}_gripper"][:, columns], table["true_gripper"][:, columns]
    return scores.side_agreement(planned_NG.ravel(), true_NG.ravel(), 0.5) if planned_NG.shape[1] else None


def _ends(planned: list[EpisodePlans], targets: list[PlanTargets]) -> Metrics:
    """How often plans say that the episode ends, where it does and where it does not.

    Plans made at an episode's last frame are left out: nothing follows, and training has no target there.
    """
    before_P = np.concatenate([plans.frame_P < len(plans.recorded_TS) - 1 for plans in planned])
    length_P = np.concatenate([plans.lengths for plans in planned])[before_P]
    true_length_P = np.concatenate([true.real_BM.sum(axis=1) for true in targets])[before_P]
    slots = planned[0].duration_PM.shape[1]
    said_P, true_P = length_P < slots, true_length_P < slots
    return {
        "plans": len(length_P),
        "true": int(true_P.sum()),
        "planned": int(said_P.sum()),
        "agreement": scores.mean(said_P == true_P),
        "recall": scores.mean(said_P[true_P]),
        "precision": scores.mean(true_P[said_P]),
        "same_slot": scores.mean((length_P == true_length_P)[said_P & true_P]),
    }


def _non_finite(planned: list[EpisodePlans]) -> dict[str, int]:
    """Plans and values before their ends that are not finite."""
    bad = [
        ~np.isfinite(plans.scaled_PMS[..., [*plans.continuous_dims, *plans.gripper_dims]])
        & plans.planned[..., None]
        for plans in planned
    ]
    return {
        "plans": sum(int(bad_PMD.any(axis=(1, 2)).sum()) for bad_PMD in bad),
        "values": sum(int(bad_PMD.sum()) for bad_PMD in bad),
    }
