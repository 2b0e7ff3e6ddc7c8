"""Which number of an evaluation ranks checkpoints, and whether less of it is better."""

from collections.abc import Mapping
from typing import Any

from lerobot_plugins.errors import ZooError, first_names

# Names of shares and rewards; everything else is an error.
_MORE_IS_BETTER = {"exact", "within_one", "agreement", "pc_success", "avg_sum_reward", "precision", "recall"}


def number_of(metrics: Mapping[str, Any], name: str) -> float | None:
    """A number of `metrics.json`.

    Args:
        metrics: Its contents.
        name: The path to it, such as `chunk.normalized.mse`; `executed.` may be left out, and of the
            normalised errors of executed actions `executed.normalized.` too.

    Returns:
        None where it is not known.

    Raises:
        ZooError: There is no such number.
    """
    for path in (name, f"executed.{name}", f"executed.normalized.{name}"):
        value: Any = metrics
        for part in path.split("."):
            value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return None if value is None or value != value else float(value)
    raise ZooError(
        f"there is no number '{name}' in the metrics of an evaluation",
        got=name,
        expected=f"such as {first_names(sorted(_numbers(metrics)), 30)}",
        do="correct --select-best",
    )


def less_is_better(name: str) -> bool:
    """Whether the smallest value is the best; shares and rewards are best at their largest."""
    return name.rsplit(".", 1)[-1] not in _MORE_IS_BETTER


_ABSENT = object()


def _numbers(metrics: Mapping[str, Any]) -> list[str]:
    found = []
    for block in ("executed", "chunk"):
        for unit in ("raw", "normalized"):
            found += [f"{block}.{unit}.{key}" for key in ((metrics.get(block) or {}).get(unit) or {})]
    return [*found, "lerobot_eval.avg_sum_reward", "lerobot_eval.pc_success", "executed.bins.256.exact"]
