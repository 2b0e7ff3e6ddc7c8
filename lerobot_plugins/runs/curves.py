"""A run's curves: one PNG, and a page that holds curves and findings in one file."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lerobot_plugins.doctor.finding import OK, Finding
from lerobot_plugins.evaluation.figures import EXECUTED, RECORDED, WIDTH, house_style, to_svg
from lerobot_plugins.evaluation.files import write_atomically
from lerobot_plugins.evaluation.page import page, section, table, warnings
from lerobot_plugins.runs.history import History

# What leads; the other series of a log follow by name.
FIRST = ("loss", "lr", "grad_norm")
# Drawn on a logarithmic axis where all values are above zero.
LOGARITHMIC = {"grad_norm"}
COLUMNS, ROW_HEIGHT = 3, 1.9


def write_curves(history: History, findings: Sequence[Finding], folder: Path) -> tuple[Path, Path]:
    """Write `curves.png` and `analysis.html`; returns their paths."""
    figure = draw(history)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    png, html = folder / "curves.png", folder / "analysis.html"
    write_atomically(png, picture.getvalue())
    wrong = [f"{f.name}: {f.detail}" + (f" ({f.do})" if f.do else "") for f in findings if f.state != OK]
    rows = [[finding.name, finding.state, finding.detail] for finding in findings]
    body = [
        f"<h1>{len(history.step_N)} logged steps, {history.step_N[0]} to {history.step_N[-1]}</h1>",
        warnings(wrong),
        section("Curves", to_svg(figure)),
        section("Checks", table(["check", "state", "what"], rows)),
    ]
    write_atomically(html, page(f"Training run: {history.source.name}", body))
    return png, html


def draw(history: History) -> Figure:
    """Every series that changes, over the steps; a running median lies above the logged points."""
    names = [name for name in _ordered(history) if len(history.points(name)[0]) > 1]
    rows = max(-(-len(names) // COLUMNS), 1)
    with house_style():
        figure = Figure(figsize=(WIDTH, ROW_HEIGHT * rows), layout="constrained")
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(rows, COLUMNS, place)
            step_N, value_N = history.points(name)
            axes.plot(step_N, value_N, color=RECORDED, linewidth=0.8)
            axes.plot(step_N, running_median(value_N), color=EXECUTED)
            axes.set_title(name)
            if name in LOGARITHMIC and (value_N[np.isfinite(value_N)] > 0).all():
                axes.set_yscale("log")
    return figure


def running_median(value_N: np.ndarray) -> np.ndarray:
    """The median of a window of a twentieth of the run, at least five points, around each point."""
    half = max(len(value_N) // 40, 2)
    return np.array([np.median(value_N[max(0, i - half) : i + half + 1]) for i in range(len(value_N))])


def _ordered(history: History) -> list[str]:
    return [name for name in FIRST if name in history.series] + sorted(set(history.series) - set(FIRST))
