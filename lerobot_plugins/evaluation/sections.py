"""The sections of `report.html`: which numbers and figures it shows, and what it says about them."""

from collections.abc import Iterable, Sequence

import numpy as np

from lerobot_plugins.evaluation import figures, page
from lerobot_plugins.evaluation.episodes import Episode, Run
from lerobot_plugins.evaluation.metrics import Metrics
from lerobot_plugins.evaluation.plan_section import plan_section
from lerobot_plugins.evaluation.summary import (
    GROUP_HEADER,
    beside_baselines,
    facts,
    groups,
    number,
    percent,
)

SHOWN_EPISODES = 3
TABLE_ROWS = 60

ABOUT = (
    "The policy saw recorded frames only: whatever it predicted, the next observation was the recorded one. "
    "Errors say how close its actions are to the demonstrator's; they are not a success rate. "
    "Executed is the action of each frame as it would have gone to the robot, chunk every step of every "
    "predicted action chunk inside its episode. Normalised errors are in units in which each dimension's "
    "recorded range is [-1, 1]. The baselines need no network: hold stays at the current state, repeat "
    "previous repeats the last recorded action (from an episode's second frame on), dataset mean is constant."
)


def report_page(run: Run, episodes: Sequence[Episode], metrics: Metrics) -> str:
    """The page `report.html`; figures need `figures.house_style`."""
    return page.page(f"Open-loop evaluation on {run.repo_id}", _body(run, episodes, metrics))


def _body(run: Run, episodes: Sequence[Episode], metrics: Metrics) -> Iterable[str]:
    state = ("complete", "good") if metrics["complete"] else ("incomplete", "bad")
    yield f'<h1>Open-loop evaluation <span class="state {state[1]}">{state[0]}</span></h1>'
    counts = metrics["counts"]
    yield page.paragraph(
        f"{run.repo_id} · {counts['episodes']} of {counts['episodes_chosen']} episodes · "
        f"{counts['frames']} frames at {run.fps:g} fps · {run.started.replace('T', ' ')}",
        "lead",
    )
    yield page.warnings(metrics["warnings"])
    if not episodes:
        yield page.paragraph("No episode has been finished yet.")
    else:
        yield page.cards(_headlines(metrics))
        yield page.section("Beside the baselines", _summary_table(metrics), page.paragraph(ABOUT))
        yield page.section(
            "Where the error is", _error_figures(metrics), _groups(metrics), _dimensions(metrics)
        )
        yield page.section("Trajectories", *_trajectories(run, episodes))
        if metrics["plan"]:
            yield page.section("Plans", *plan_section(run, episodes[:SHOWN_EPISODES], metrics["plan"]))
        yield page.section(
            "Tasks and episodes",
            _group_table(metrics, "per_task", "task"),
            _group_table(metrics, "per_episode", "episode_index"),
        )
    yield page.section(
        "How it was made",
        page.preformatted(run.command),
        page.definitions([*facts(metrics), *_provenance(run)]),
    )


def _headlines(metrics: Metrics) -> Iterable[tuple[str, str]]:
    executed, chunk = metrics["executed"], metrics["chunk"]
    yield number(executed["normalized"]["mae"], 3), "MAE executed, normalised"
    yield number(executed["raw"]["mae"], 3), "MAE executed, raw units"
    if chunk:
        yield number(chunk["normalized"]["mae"], 3), "MAE of chunks, normalised"
    if executed["gripper"]:
        yield percent(executed["gripper"]["agreement"]), "gripper on the recorded side"
    if metrics["plan"]:
        yield number(metrics["plan"]["normalized"]["mae"], 3), "MAE of planned states, normalised"
    score = metrics["lerobot_eval"]
    yield f"{score['pc_success']:.0f} %", f"episodes within a normalised MAE of {score['tolerance']:g}"


def _summary_table(metrics: Metrics) -> str:
    rows = beside_baselines(metrics)
    errors = np.array([[np.nan if v is None else v for v in values] for _, values in rows])
    best = [
        (int(np.nanargmin(column)), c + 1) for c, column in enumerate(errors.T) if np.isfinite(column).any()
    ]
    reasons = "; ".join(
        f"{name.replace('_', ' ')}: {baseline['reason']}"
        for name, baseline in metrics["baselines"].items()
        if baseline["reason"]
    )
    table = page.table(
        ["", "MAE", "MSE", "L2", "MAE", "MSE", "MAE", "MSE"],
        [[name, *map(number, values)] for name, values in rows],
        groups=[("", 1), ("executed, raw units", 3), ("executed, normalised", 2), ("chunk, normalised", 2)],
        best=best,
    )
    return table + (page.paragraph(f"Not available: {reasons}.") if reasons else "")


def _error_figures(metrics: Metrics) -> str:
    drawn = []
    if metrics["chunk"]:
        caption = "Error of a chunk's steps by how far they look ahead."
        drawn.append(page.figure(figures.to_svg(figures.horizon(metrics)), caption))
    caption = "Values that fall into the recorded bin (solid) or at most one beside it (dashed)."
    drawn.append(page.figure(figures.to_svg(figures.bins(metrics)), caption))
    return page.pair(*drawn)


def _groups(metrics: Metrics) -> str:
    rows = groups(metrics)
    return page.table(GROUP_HEADER, rows) if rows else ""


def _dimensions(metrics: Metrics) -> str:
    executed = metrics["executed"]
    agreement = {dim["name"]: dim["agreement"] for dim in (executed["gripper"] or {"per_dim": []})["per_dim"]}
    rows = [
        [
            dim["name"],
            *(number(dim["raw"][key], 3) for key in ("mae", "max_abs")),
            number(dim["normalized"]["mae"], 3) if dim["normalized"] else "constant",
            percent(agreement[dim["name"]]) if dim["name"] in agreement else "",
        ]
        for dim in executed["per_dim"]
    ]
    columns = 5 if agreement else 4
    table = page.table(
        ["executed", "MAE raw", "largest raw", "MAE norm.", "gripper"][:columns],
        [row[:columns] for row in rows],
    )
    figure = page.figure(figures.to_svg(figures.dimensions(metrics)), "Error of each action dimension.")
    return page.pair(figure, table)


def _trajectories(run: Run, episodes: Sequence[Episode]) -> Iterable[str]:
    for episode in episodes[:SHOWN_EPISODES]:
        caption = f"Episode {episode.index}: {episode.task_T[0]}"
        yield page.figure(figures.to_svg(figures.trajectory(run, episode)), caption)
        if len(episode.picture_PHWC):
            strip = np.concatenate(list(episode.picture_PHWC), axis=1)
            places = ", ".join(str(frame) for frame in episode.picture_frame_P)
            yield page.figure(page.picture(strip), f"What the policy saw at frames {places}.")


def _group_table(metrics: Metrics, group: str, label: str) -> str:
    executed = metrics["executed"][group]
    chunks = {entry[label]: entry for entry in metrics["chunk"][group]} if metrics["chunk"] else {}
    rows = [
        [
            str(entry[label]),
            str(entry["rows"]),
            *(number(entry["raw"][key]) for key in ("mae", "mse")),
            number(entry["normalized"]["mae"]),
            number(chunks[entry[label]]["normalized"]["mae"]) if entry[label] in chunks else "–",
        ]
        for entry in executed[:TABLE_ROWS]
    ]
    rest = len(executed) - len(rows)
    note = page.paragraph(f"{rest} more rows are in metrics.json.") if rest else ""
    header = [
        label.replace("_index", ""),
        "frames",
        "MAE raw",
        "MSE raw",
        "MAE normalised",
        "chunk MAE normalised",
    ]
    return page.table(header, rows) + note


def _provenance(run: Run) -> Iterable[tuple[str, str]]:
    yield "episodes chosen", ", ".join(map(str, run.episodes))
    yield "statistics", f"meta/stats.json, sha256 {run.statistics_sha256}"
    yield from run.versions.items()
