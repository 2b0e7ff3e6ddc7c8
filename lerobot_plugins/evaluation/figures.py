"""Figures of the report, drawn with matplotlib's object interface (no global state, no display).

Shapes: T frames, A action dimensions, H steps of a chunk.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lerobot_plugins.evaluation.episodes import Episode, Run
from lerobot_plugins.evaluation.metrics import Metrics

# Okabe and Ito's palette: distinct for colour-blind readers and in print.
RECORDED, EXECUTED, CHUNK = "#b5b5b5", "#d55e00", "#0072b2"
BASELINE_STYLES = {
    "hold": ("#cc79a7", ":"),
    "repeat_previous": ("#009e73", "--"),
    "dataset_mean": ("#999999", "-."),
}
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "lerobot_plugins",
}
# The width of the report's text, in inches at 96 dots.
WIDTH = 10.2
# Chunks drawn per episode: enough to see how they bend, few enough to tell them apart.
DRAWN_CHUNKS = 12


@contextmanager
def house_style() -> Iterator[None]:
    """The look that all figures share."""
    with mpl.rc_context(STYLE):
        yield


def to_svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def to_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def horizon(metrics: Metrics) -> Figure:
    """Normalised MAE of chunks at each step ahead, beside the baselines that hold one action."""
    figure, axes = _single()
    chunk = metrics["chunk"]
    for name, (color, style) in BASELINE_STYLES.items():
        if scored := metrics["baselines"][name]["chunk"]:
            label = name.replace("_", " ")
            _plot_steps(axes, scored["per_horizon"], color=color, linestyle=style, label=label)
    marker = "." if len(chunk["per_horizon"]) < 30 else ""
    _plot_steps(axes, chunk["per_horizon"], color=CHUNK, label="policy", marker=marker)
    axes.set(xlabel="steps ahead", ylabel="MAE (normalised)", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def dimensions(metrics: Metrics) -> Figure:
    """Normalised MAE of each action dimension, executed and in chunks."""
    names = [dim["name"] for dim in metrics["executed"]["per_dim"]]
    figure = Figure(figsize=(WIDTH / 2 - 0.2, max(2.7, 0.7 + 0.24 * len(names))), layout="constrained")
    axes = figure.subplots()
    blocks = [(name, metrics[name]) for name in ("executed", "chunk") if metrics[name]]
    height = 0.8 / len(blocks)
    for offset, ((label, block), color) in enumerate(zip(blocks, (EXECUTED, CHUNK), strict=False)):
        errors = [dim["normalized"]["mae"] if dim["normalized"] else np.nan for dim in block["per_dim"]]
        places = np.arange(len(names)) + (offset - (len(blocks) - 1) / 2) * height
        axes.barh(places, errors, height=height * 0.92, color=color, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="MAE (normalised)", xlim=(0, None), ylim=(len(names) - 0.4, -0.6))
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def bins(metrics: Metrics) -> Figure:
    """Share of values in the recorded bin, and at most one bin away, against the number of bins."""
    figure, axes = _single()
    for name, color in (("executed", EXECUTED), ("chunk", CHUNK)):
        if block := metrics[name]:
            counts = [int(count) for count in block["bins"]]
            for kind, style in (("exact", "-"), ("within_one", "--")):
                accuracy = [100 * value[kind] for value in block["bins"].values()]
                label = f"{name}, {kind.replace('_', ' ')}"
                axes.plot(counts, accuracy, style, color=color, marker=".", label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set(xlabel="bins over the dataset's range", ylabel="accuracy (%)", ylim=(0, 103))
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def trajectory(run: Run, episode: Episode) -> Figure:
    """One episode: recorded and executed actions, and the chunks where they were predicted."""
    dims = len(run.action_names)
    columns = 2 if dims <= 8 else 3 if dims <= 24 else 4
    rows = -(-dims // columns)
    figure = Figure(figsize=(WIDTH, 0.4 + 1.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for d, axes in enumerate(grid.T.flat):
        if d >= dims:
            axes.set_axis_off()
            continue
        _plot_dimension(axes, episode, d)
        axes.set_title(run.action_names[d], pad=2)
        if d % rows == rows - 1 or d == dims - 1:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("time (s)")
            # Above an empty place its labels have room; counting them would spread the rows unevenly.
            axes.xaxis.set_in_layout(d % rows == rows - 1)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    return figure


def overview(run: Run, episodes: Sequence[Episode]) -> Figure:
    """The first episodes side by side, one row per action dimension."""
    dims = len(run.action_names)
    figure = Figure(figsize=(3.6 * len(episodes) + 0.6, 0.6 + 1.1 * dims), layout="constrained")
    grid = figure.subplots(dims, len(episodes), sharex="col", sharey="row", squeeze=False)
    for column, episode in enumerate(episodes):
        for d in range(dims):
            _plot_dimension(grid[d, column], episode, d)
        grid[0, column].set_title(f"episode {episode.index}")
        grid[-1, column].set_xlabel("time (s)")
    for d, name in enumerate(run.action_names):
        grid[d, 0].set_ylabel(name)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    return figure


def _single() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH / 2 - 0.2, 2.9), layout="constrained")
    return figure, figure.subplots()


def _plot_steps(axes: Axes, per_horizon: list[Metrics], **style: str) -> None:
    axes.plot(
        [entry["step"] for entry in per_horizon],
        [entry["normalized"]["mae"] for entry in per_horizon],
        **style,  # type: ignore[arg-type]
    )


def _plot_dimension(axes: Axes, episode: Episode, d: int) -> None:
    time_T = episode.timestamp_T
    axes.plot(time_T, episode.recorded_TA[:, d], color=RECORDED, lw=2.6, label="recorded")
    every = max(1, -(-len(episode.chunk_CHA) // DRAWN_CHUNKS))
    label = "predicted chunks"
    for start, chunk_HA in zip(episode.chunk_start_C[::every], episode.chunk_CHA[::every], strict=True):
        ahead_T = time_T[start : start + len(chunk_HA)]
        ahead_H = chunk_HA[: len(ahead_T), d]
        axes.plot(ahead_T, ahead_H, color=CHUNK, lw=0.9, alpha=0.7, label=label)
        axes.plot(time_T[start], chunk_HA[0, d], ".", color=CHUNK, markersize=3)
        label = "_nolegend_"
    axes.plot(time_T, episode.predicted_TA[:, d], color=EXECUTED, lw=1, label="executed")
