"""The tables that a terminal and the report share: a policy beside the baselines, several evaluations."""

from collections.abc import Sequence
from typing import Any

from lerobot_plugins.evaluation.metrics import Metrics

Cell = str | float | int | None

# (heading, block, units, number) of each column of errors.
ERROR_COLUMNS = (
    ("mae", "executed", "raw", "mae"),
    ("mse", "executed", "raw", "mse"),
    ("l2", "executed", "raw", "l2"),
    ("mae norm", "executed", "normalized", "mae"),
    ("mse norm", "executed", "normalized", "mse"),
    ("chunk mae norm", "chunk", "normalized", "mae"),
    ("chunk mse norm", "chunk", "normalized", "mse"),
)
# What a comparison says of plans: frames off, and the error of their states.
PLAN_NUMBERS = (("duration", "mae"), ("normalized", "mae"))


def number(value: Cell, digits: int = 4) -> str:
    """A number with so many significant digits; a dash for what is not known."""
    if value is None or value != value:
        return "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "–" if value is None or value != value else f"{100 * value:.1f} %"


def beside_baselines(metrics: Metrics) -> list[tuple[str, list[float | None]]]:
    """Rows of the summary table: name and one error per column of `ERROR_COLUMNS`."""
    blocks = {"policy": metrics} | (metrics["baselines"] or {})
    return [
        (name.replace("_", " "), [_lookup(scored, *path) for _, *path in ERROR_COLUMNS])
        for name, scored in blocks.items()
    ]


GROUP_HEADER = ["group", "dims", "MAE raw", "MSE raw", "MAE norm", "MSE norm", "chunk MAE norm"]


def groups(metrics: Metrics) -> list[list[str]]:
    """Rows of the table of errors of the robot's parts; empty where their names do not tell them apart."""
    executed, chunk = metrics["executed"], metrics["chunk"]
    in_chunks = {entry["group"]: entry for entry in (chunk and chunk["per_group"]) or []}
    return [
        [
            entry["group"],
            str(len(entry["dims"])),
            *(
                number(_lookup(entry, units, key))
                for units in ("raw", "normalized")
                for key in ("mae", "mse")
            ),
            number(_lookup(in_chunks.get(entry["group"]), "normalized", "mae")),
        ]
        for entry in (executed and executed["per_group"]) or []
    ]


def facts(metrics: Metrics) -> list[tuple[str, str]]:
    """What else one line each says about an evaluation."""
    counts, dataset = metrics["counts"], metrics["dataset"]
    lines = [
        ("dataset", f"{dataset['repo_id']}, {dataset['fps']:g} fps"),
        ("episodes", f"{counts['episodes']} of {counts['episodes_chosen']}, {counts['frames']} frames"),
    ]
    if counts["chunks"]:
        mean = counts["chunk_steps"] / counts["chunks"]
        steps = f"{counts['horizon']} steps"
        if mean != counts["horizon"]:
            steps = f"{mean:.1f} steps on average, at most {counts['horizon']}"
        lines.append(("chunks", f"{counts['chunks']} of {steps}"))
    if metrics["executed"]:
        score = metrics["lerobot_eval"]
        lines.append(("avg_sum_reward", number(score["avg_sum_reward"])))
        lines.append(
            ("pc_success", f"{score['pc_success']:.1f} (normalised mae at most {score['tolerance']:g})")
        )
    for name in ("executed", "chunk"):
        if block := metrics[name]:
            bins = block["bins"]["256"]
            text = f"{percent(bins['exact'])} exact, {percent(bins['within_one'])} within one"
            lines.append((f"{name} bins (256)", text))
            if block["gripper"]:
                agreement = percent(block["gripper"]["agreement"])
                lines.append((f"{name} gripper", f"{agreement} on the recorded side"))
    return lines


def plan_facts(plan: Metrics) -> list[tuple[str, str]]:
    """What one line each says about the plans of an evaluation."""
    duration, end, on_time, hold = (plan[name] for name in ("duration", "end", "on_time", "hold"))
    lines = [
        ("plans", f"{plan['plans']} of up to {plan['slots']} waypoints, {plan['rows']} waypoints compared"),
        (
            "plan durations",
            f"{number(duration['mae'], 3)} frames off, {percent(duration['exact'])} exact, "
            f"{percent(duration['within_one'])} within one",
        ),
        (
            "plan states",
            f"mae norm {number(plan['normalized']['mae'], 3)} (hold {number(hold['normalized']['mae'], 3)}), "
            f"raw {number(plan['raw']['mae'], 3)}; on time norm {number(on_time['normalized']['mae'], 3)}",
        ),
    ]
    if plan["gripper_agreement"] is not None:
        agreement, held = percent(plan["gripper_agreement"]), percent(hold["gripper_agreement"])
        lines.append(("plan gripper", f"{agreement} on the recorded side (hold {held})"))
    lines.append(
        (
            "plan ends",
            f"{end['true']} in reach, {percent(end['recall'])} of them planned; "
            f"{end['planned']} planned, {percent(end['precision'])} of them in reach",
        )
    )
    return lines


def summary(metrics: Metrics) -> str:
    """The metrics of one evaluation beside the baselines, as text."""
    header = ["", *(heading for heading, *_ in ERROR_COLUMNS)]
    rows = [[name, *map(number, values)] for name, values in beside_baselines(metrics)]
    labelled = facts(metrics) + (plan_facts(metrics["plan"]) if metrics["plan"] else [])
    width = max(len(label) for label, _ in labelled) + 2
    lines = [f"{label + ':':<{width}}{text}" for label, text in labelled]
    tables = ["", text_table(header, rows)]
    if parts := groups(metrics):
        tables += ["", text_table(GROUP_HEADER, parts)]
    return "\n".join([*lines, *tables])


def comparison(named: Sequence[tuple[str, Metrics]]) -> str:
    """Several evaluations, one per row, as text."""
    header = ["report", "episodes", "frames", *(heading for heading, *_ in ERROR_COLUMNS)]
    header += ["gripper", "pc_success", "best baseline (mae norm)"]
    any_plans = any(metrics["plan"] for _, metrics in named)
    header += ["plan frames off", "plan mae norm"] if any_plans else []
    rows = []
    for name, metrics in named:
        (_, errors), *baselines = beside_baselines(metrics)
        counts, score, executed = metrics["counts"], metrics["lerobot_eval"], metrics["executed"]
        gripper = executed["gripper"] if executed else None
        position = [heading for heading, *_ in ERROR_COLUMNS].index("mae norm")
        best = min(
            ((values[position], baseline) for baseline, values in baselines if values[position] is not None),
            default=(None, "–"),
        )
        rows.append(
            [
                name,
                f"{counts['episodes']}/{counts['episodes_chosen']}",
                str(counts["frames"]),
                *map(number, errors),
                percent(gripper["agreement"]) if gripper else "–",
                number(score["pc_success"]) if score else "–",
                f"{best[1]} {number(best[0])}",
            ]
        )
        if any_plans:
            rows[-1] += [number(_lookup(metrics, "plan", *path)) for path in PLAN_NUMBERS]
    return text_table(header, rows)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first left-aligned, the others right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
        return "  ".join([f"{cells[0]:<{widths[0]}}", *padded[1:]]).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def _lookup(metrics: Any, *path: str) -> float | None:
    for key in path:
        metrics = metrics and metrics[key]
    return metrics
