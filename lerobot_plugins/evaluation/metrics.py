"""The contents of `metrics.json`: one schema for every open-loop evaluation, whatever policy acted.

Two views of the same predictions are scored alike:

- `executed`: one action per frame, as it would have gone to the robot;
- `chunk`: every step of every published chunk that lies inside its episode (null if none are published).

`plan` scores what a policy that plans announced (see `plan_metrics`; null for others).

Shapes: F frames, N rows (see `rows`), A action dimensions, V that vary in the dataset.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lerobot_plugins.evaluation import scores
from lerobot_plugins.evaluation.episodes import SCHEMA_VERSION, Episode, Run
from lerobot_plugins.evaluation.groups import action_groups
from lerobot_plugins.evaluation.plan_metrics import plan_metrics
from lerobot_plugins.evaluation.rows import Frames, Rows, chunk_rows, executed_rows

Metrics = dict[str, Any]

# A larger gap between a chunk's first step and the executed action, in normalised units, earns a warning.
CHUNK_MISMATCH = 0.02


def compute(run: Run, episodes: list[Episode]) -> Metrics:
    """Everything `metrics.json` holds, from the finished episodes of one evaluation.

    NaN stands for "not known" and becomes null in the file. A number that a non-finite prediction enters is
    not known; numbers of other episodes, dimensions and steps stay.
    """
    # Sums in floating point depend on their order; the order of play must not show.
    episodes = sorted(episodes, key=lambda episode: episode.index)
    complete = len(episodes) == len(run.episodes)
    metrics: Metrics = {
        "schema_version": SCHEMA_VERSION,
        "complete": complete,
        "dataset": {
            "repo_id": run.repo_id,
            "fps": run.fps,
            "episodes": run.episodes,
            "statistics_sha256": run.statistics_sha256,
            "action_names": run.action_names,
            "constant_dims": _constant_names(run),
        },
        "counts": _counts(run, episodes),
        "lerobot_eval": None,
        "executed": None,
        "chunk": None,
        "baselines": None,
        "plan": None,
    }
    if episodes:
        frames, executed, chunks = Frames.of(episodes), executed_rows(episodes), chunk_rows(episodes)
        metrics["executed"] = block = _block(run, frames, executed, sequence_N=frames.episode_F)
        for entry in block["per_episode"]:
            entry["success"] = entry["normalized"]["mae"] <= run.tolerance
        metrics["lerobot_eval"] = {
            "avg_sum_reward": -scores.mean(np.array([e["raw"]["mae"] for e in block["per_episode"]])),
            "pc_success": 100 * scores.mean(np.array([e["success"] for e in block["per_episode"]])),
            "tolerance": run.tolerance,
        }
        if chunks is not None:
            metrics["chunk"] = _block(run, frames, chunks, sequence_N=chunks.origin_N)
            metrics["chunk"]["per_horizon"] = _per_horizon(run, frames, chunks)
        metrics["baselines"] = _baselines(run, frames, executed, chunks)
        metrics["plan"] = plan_metrics(run, episodes)
    metrics["warnings"] = list(_warnings(run, episodes, metrics))
    return metrics


def core(run: Run, frames: Frames, rows: Rows) -> Metrics:
    """Error numbers in raw units (all dimensions) and normalised ones (dimensions that vary)."""
    recorded_NA, normalize = frames.recorded_FA[rows.target_N], run.action_range.normalize
    return {
        "raw": scores.error_numbers(rows.predicted_NA - recorded_NA),
        "normalized": scores.error_numbers(normalize(rows.predicted_NA) - normalize(recorded_NA)),
    }


def _block(run: Run, frames: Frames, rows: Rows, sequence_N: np.ndarray) -> Metrics:
    recorded_NA, normalize = frames.recorded_FA[rows.target_N], run.action_range.normalize
    predicted_NV, recorded_NV = normalize(rows.predicted_NA), normalize(recorded_NA)
    return {
        **core(run, frames, rows),
        "per_dim": _per_dim(run, rows.predicted_NA, recorded_NA),
        "per_group": _per_group(run, rows.predicted_NA, recorded_NA),
        "per_task": _per_label(run, frames, rows, "task", frames.task_F[rows.origin_N]),
        "per_episode": _per_label(run, frames, rows, "episode_index", frames.episode_F[rows.origin_N]),
        "gripper": _gripper(run, rows.predicted_NA, recorded_NA),
        "bins": {str(k): scores.bin_accuracy(predicted_NV, recorded_NV, k) for k in scores.BIN_COUNTS},
        "out_of_range_fraction": {
            "predicted": scores.out_of_range_fraction(predicted_NV),
            "recorded": scores.out_of_range_fraction(recorded_NV),
        },
        "smoothness": {
            "predicted": scores.step_change(predicted_NV, sequence_N),
            "recorded": scores.step_change(recorded_NV, sequence_N),
        },
    }


def _per_dim(run: Run, predicted_NA: np.ndarray, recorded_NA: np.ndarray) -> list[Metrics]:
    error_NA = predicted_NA - recorded_NA
    # Half the range is what one normalised unit is worth.
    unit_A = (run.action_range.high_A - run.action_range.low_A) / 2
    return [
        {
            "name": name,
            "raw": scores.error_numbers(error_NA[:, [d]]),
            "normalized": scores.error_numbers(error_NA[:, [d]] / unit_A[d]) if varies else None,
        }
        for d, (name, varies) in enumerate(zip(run.action_names, run.action_range.varying, strict=True))
    ]


def _per_group(run: Run, predicted_NA: np.ndarray, recorded_NA: np.ndarray) -> list[Metrics] | None:
    """Errors of the base, the arms and so on, where the names of the dimensions tell them apart."""
    groups = action_groups(run.action_names)
    if groups is None:
        return None
    error_NA = predicted_NA - recorded_NA
    unit_A = (run.action_range.high_A - run.action_range.low_A) / 2
    varying_A = run.action_range.varying
    entries = []
    for name, dims in groups.items():
        scaled = [d for d in dims if varying_A[d]]
        entries.append(
            {
                "group": name,
                "dims": [run.action_names[d] for d in dims],
                "raw": scores.error_numbers(error_NA[:, dims]),
                "normalized": scores.error_numbers(error_NA[:, scaled] / unit_A[scaled]) if scaled else None,
            }
        )
    return entries


def _per_label(run: Run, frames: Frames, rows: Rows, label: str, group_N: np.ndarray) -> list[Metrics]:
    # In order of first appearance.
    names, first = np.unique(group_N, return_index=True)
    groups = []
    for name in names[np.argsort(first)]:
        part = rows[group_N == name]
        groups.append({label: name.item(), "rows": len(part.origin_N), **core(run, frames, part)})
    return groups


def _per_horizon(run: Run, frames: Frames, rows: Rows) -> list[Metrics]:
    step_N = rows.target_N - rows.origin_N
    return [
        {"step": step, "support": int((step_N == step).sum()), **core(run, frames, rows[step_N == step])}
        for step in range(int(step_N.max(initial=-1)) + 1)
    ]


def _gripper(run: Run, predicted_NA: np.ndarray, recorded_NA: np.ndarray) -> Metrics | None:
    """Open or closed: the side of the middle of the dataset's range."""
    varying_A, middle_A = run.action_range.varying, run.action_range.middle
    dims = [d for d, name in enumerate(run.action_names) if "gripper" in name.lower() and varying_A[d]]
    if not dims:
        return None
    per_dim = [
        {
            "name": run.action_names[d],
            "middle": float(middle_A[d]),
            "agreement": scores.side_agreement(predicted_NA[:, d], recorded_NA[:, d], middle_A[d]),
        }
        for d in dims
    ]
    return {"agreement": scores.mean(np.array([dim["agreement"] for dim in per_dim])), "per_dim": per_dim}


def _baselines(run: Run, frames: Frames, executed: Rows, chunks: Rows | None) -> Metrics:
    """Three policies without a network, scored on the same rows; a chunk holds its first action."""

    def hold(rows: Rows) -> Rows:
        assert frames.hold_FA is not None
        return rows.replaced(frames.hold_FA[rows.origin_N])

    def repeat_previous(rows: Rows) -> Rows:
        # The first frame of an episode has no previous action; its rows are left out.
        rows = rows[frames.step_F[rows.origin_N] > 0]
        return rows.replaced(frames.recorded_FA[rows.origin_N - 1])

    def dataset_mean(rows: Rows) -> Rows:
        return rows.replaced(np.broadcast_to(np.asarray(run.action_mean, float), rows.predicted_NA.shape))

    def score(rows: Rows) -> Metrics:
        return {"rows": len(rows.origin_N), **core(run, frames, rows)}

    def score_chunks(rows: Rows) -> Metrics:
        return score(rows) | {"per_horizon": _per_horizon(run, frames, rows)}

    result = {}
    for baseline in (hold, repeat_previous, dataset_mean):
        reason = run.hold_reason if baseline is hold else None
        result[baseline.__name__] = {
            "executed": score(baseline(executed)) if reason is None else None,
            "chunk": score_chunks(baseline(chunks)) if reason is None and chunks is not None else None,
            "reason": reason,
        }
    return result


def _counts(run: Run, episodes: list[Episode]) -> Metrics:
    executed_TA = [~np.isfinite(episode.predicted_TA) for episode in episodes]
    chunks_CHA = [_non_finite_chunks(episode) for episode in episodes]
    published = sum(len(episode.chunk_CHA) for episode in episodes)
    return {
        "episodes": len(episodes),
        "episodes_chosen": len(run.episodes),
        "frames": sum(len(episode.task_T) for episode in episodes),
        "chunks": published,
        "chunk_steps": sum(int(episode.chunk_lengths.sum()) for episode in episodes),
        "horizon": max(int(episode.chunk_lengths.max(initial=0)) for episode in episodes)
        if published
        else None,
        "non_finite": {
            "executed_frames": sum(int(bad.any(axis=1).sum()) for bad in executed_TA),
            "executed_values": sum(int(bad.sum()) for bad in executed_TA),
            "chunks": sum(int(bad.any(axis=(1, 2)).sum()) for bad in chunks_CHA),
            "chunk_values": sum(int(bad.sum()) for bad in chunks_CHA),
        },
    }


def _non_finite_chunks(episode: Episode) -> np.ndarray:
    meant_CH = np.arange(episode.chunk_CHA.shape[1]) < episode.chunk_lengths[:, None]
    return ~np.isfinite(episode.chunk_CHA) & meant_CH[..., None]


def _constant_names(run: Run) -> list[str]:
    varying = run.action_range.varying
    return [name for name, varies in zip(run.action_names, varying, strict=True) if not varies]


def _warnings(run: Run, episodes: list[Episode], metrics: Metrics) -> Iterable[str]:
    counts = metrics["counts"]
    if not metrics["complete"]:
        yield f"Incomplete: {counts['episodes']} of {counts['episodes_chosen']} chosen episodes are in."
    bad = counts["non_finite"]
    if bad["executed_values"] or bad["chunk_values"]:
        yield (
            f"Non-finite predictions: {bad['executed_values']} executed values in {bad['executed_frames']} "
            f"frames, {bad['chunk_values']} values in {bad['chunks']} chunks. What they enter is not known."
        )
    if metrics["plan"] and (bad := metrics["plan"]["non_finite"])["values"]:
        yield (
            f"Non-finite plans: {bad['values']} values in {bad['plans']} plans. What they enter is not known."
        )
    if metrics["dataset"]["constant_dims"]:
        names = ", ".join(metrics["dataset"]["constant_dims"])
        yield f"Constant in the dataset, so left out of normalised numbers: {names}."
    if episodes and metrics["chunk"] is None:
        yield "The policy publishes no action chunks: only its executed actions are scored."
    gap = _first_step_gap(run, episodes)
    if gap > CHUNK_MISMATCH:
        yield (
            f"A chunk's first step differs from the action executed at that frame by up to {gap:.3g} "
            "(normalised): the postprocessor does more than un-normalise, or chunks are blended."
        )


def _first_step_gap(run: Run, episodes: list[Episode]) -> float:
    gaps = [0.0]
    for episode in episodes:
        if len(episode.chunk_CHA):
            normalize = run.action_range.normalize
            gap_CV = normalize(episode.chunk_CHA[:, 0]) - normalize(
                episode.predicted_TA[episode.chunk_start_C]
            )
            finite = abs(gap_CV[np.isfinite(gap_CV)])
            gaps.append(float(finite.max(initial=0.0)))
    return max(gaps)
