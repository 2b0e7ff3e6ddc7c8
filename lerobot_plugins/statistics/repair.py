"""`meta/stats.json` of a LeRobotDataset made exact, in place.

Statistics of pictures, which cost a decoding of all videos, stay as they are unless they are given; those of
single episodes in `meta/episodes` stay in any case.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot_plugins.statistics.columns import INDEX_FEATURES
from lerobot_plugins.statistics.comparison import Comparison, compare
from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.formats import lerobot_content, read_statistics_file, write_json

_FILE = Path("meta") / "stats.json"
#: Of a number's range: less is not worth telling.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Repair:
    """What writing exact statistics into a dataset changes.

    Args:
        path: The file.
        comparison: Old against new; None where there was no old one that could be read.
        added: Features that had no statistics.
        kept: Features whose statistics stay: pictures, and what was not computed.
        content: The new file.
        changed: Whether the content differs from the file's.
    """

    path: Path
    comparison: Comparison | None
    added: list[str]
    kept: list[str]
    content: dict[str, Any]
    changed: bool

    def write(self) -> None:
        """Replace the file at once; a reader finds the old one or the new one."""
        if self.changed:
            write_json(self.content, self.path)

    def text(self) -> list[str]:
        """What was done, line by line."""
        if not self.changed:
            return [f"{self.path} has exactly these statistics already"]
        lines = [f"wrote {self.path}"]
        if self.comparison is None:
            lines.append("it was missing or no JSON")
        else:
            lines += [f"replaced   {text}" for text in self.comparison.widths]
        if self.comparison is not None and self.comparison.differences:
            rows = self.comparison.rows()
            # The own columns of LeRobot come last: nobody normalises by them.
            worst = max(
                (row for row, _ in rows), key=lambda row: (row.feature not in INDEX_FEATURES, row.share)
            )
            count = len(self.comparison.differences)
            lines.append(
                f"changed    {count} statistics of {len(rows)} numbers, at most {worst.statistic} of "
                f"{worst.feature} {worst.name}: {worst.one:.6g} -> {worst.other:.6g}"
            )
        if self.added:
            lines.append(f"added      {', '.join(self.added)}")
        if self.kept:
            lines.append(f"kept       {', '.join(self.kept)}")
        return [*lines, "kept       the statistics of single episodes in meta/episodes"]


def stored_quantiles(root: Path) -> set[int]:
    """The quantiles, in percent, that a dataset's statistics have; all of them must be made exact."""
    names = {name for entry in (_stored(root) or {}).values() for name in entry}
    return {int(name[1:]) for name in names if re.fullmatch(r"q\d\d", name)}


def repair(root: Path, exact: Described) -> Repair:
    """What must change in `meta/stats.json` so that it has the exact statistics.

    Args:
        root: The dataset's folder.
        exact: The exact statistics of some features, with at least the quantiles that are stored.
    """
    stored = _stored(root)
    old = stored or {}
    new = lerobot_content(exact.stats)
    # Statistics with names of someone else's stay.
    content = old | {key: old.get(key, {}) | entry for key, entry in new.items()}
    comparison = None
    if any(key in new for key in old):
        before = Described(read_statistics_file(root / _FILE), str(root / _FILE), exact.names)
        comparison = compare(before, exact, _ROUNDING)
    return Repair(
        root / _FILE,
        comparison if stored is not None else None,
        added=[key for key in new if key not in old] if old else [],
        kept=[key for key in old if key not in new],
        content=content,
        changed=content != stored,
    )


def _stored(root: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((root / _FILE).read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
