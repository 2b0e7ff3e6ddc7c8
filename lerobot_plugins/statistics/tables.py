"""Statistics and their differences as text."""

from collections.abc import Iterator, Sequence

from lerobot_plugins.statistics.columns import INDEX_FEATURES
from lerobot_plugins.statistics.comparison import Comparison
from lerobot_plugins.statistics.described import Described

_SHOWN = ("min", "q01", "mean", "std", "q99", "max")


def statistics_table(described: Described) -> str:
    """One line for each number of the vectors, LeRobot's own columns left out."""
    rows: list[list[str]] = []
    for feature, stats in described.stats.items():
        fields = [field for field in _SHOWN if field in stats]
        if feature in INDEX_FEATURES or not fields or stats[fields[0]].ndim > 1:
            continue
        for i in range(len(stats[fields[0]])):
            numbers = [f"{stats[field][i]:.5g}" if field in stats else "" for field in _SHOWN]
            rows.append([feature, described.named(feature, i), *numbers])
    return "\n".join(aligned([["feature", "number", *_SHOWN], *rows], texts=2))


def comparison_table(comparison: Comparison) -> str:
    """One line for each number that differs: its largest difference, and which others there are."""
    lines = list(comparison.widths)
    if rows := comparison.rows():
        head = ["feature", "number", "worst", "one", "other", "of its range", "also"]
        body = [
            [
                worst.feature,
                worst.name,
                worst.statistic,
                f"{worst.one:.6g}",
                f"{worst.other:.6g}",
                f"{worst.share:.2%}",
                ", ".join(also),
            ]
            for worst, also in rows
        ]
        lines += aligned([head, *body], texts=3, last_text=True)
    differing = len(comparison.differences)
    lines.append(f"{differing} of {comparison.compared} statistics differ")
    return "\n".join([*lines, *comparison.notes])


def aligned(rows: Sequence[Sequence[str]], texts: int, last_text: bool = False) -> Iterator[str]:
    """Columns of one width each, line by line.

    Args:
        rows: The cells; the first row is the head.
        texts: How many of the first columns are texts, to the left; numbers stand to the right.
        last_text: The last column is a text too.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if i < texts or (last_text and i == len(row) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
